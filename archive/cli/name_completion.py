"""Complete names of areas, AE titles, peers and the like: out of the database, if that answers at once.

A shell asks at every TAB, in the middle of a line that somebody types. So nothing is made, nothing is said, and after
DEADLINE_SECONDS there are no names.
"""

import re
import threading
from collections.abc import Callable
from typing import Any

import click

from archive import settings
from archive.database.glance import glance
from archive.registry import known

DEADLINE_SECONDS = 1.0

# More than anybody reads.
MOST_NAMES = 500

# What every shell takes as it is. A title such as $(reboot) is never put into a line that somebody is about to run.
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@%+-]*")

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def names_of(*kinds: str) -> Complete:
    """Completes the names of things of these kinds (see `registry.known`), by the settings given before in the line."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
        flags = {name: context.params.get(name) for name in ("data", "database", "config")}
        found = within(DEADLINE_SECONDS, lambda: _known(flags, kinds, incomplete))
        return [name for name in found if _PLAIN.fullmatch(name)]

    return complete


def _known(flags: dict[str, Any], kinds: tuple[str, ...], incomplete: str) -> list[str]:
    with glance(settings.load(flags).database_url) as connection:
        return known.names(connection, kinds, incomplete, MOST_NAMES)


def within(seconds: float, find: Callable[[], list[str]]) -> list[str]:
    """What `find` returns in so many seconds; nothing if it fails, or is not done by then."""
    found: list[str] = []

    def run() -> None:
        try:
            found.extend(find())
        except Exception:  # noqa: BLE001 - whatever it is, the line that is typed is no place to say it
            found.clear()

    # A thread, because nothing else bounds all waits: for a name server, a disk, a database. The process ends without.
    working = threading.Thread(target=run, daemon=True)
    working.start()
    working.join(seconds)
    return [] if working.is_alive() else found
