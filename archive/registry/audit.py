"""Who changed what, and how it was before: a row of `changes` for each change, in the change's own transaction."""

import os
import pwd
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from archive.registry import tables
from archive.registry.tables import changes

# Where a connection keeps the list of what is noted on it, for whoever listens.
_HEARD = "archive.registry.audit"


@dataclass(frozen=True, slots=True)
class Note:
    """What became of what: the part of a change that is known before it is committed."""

    action: str
    subject: str
    name: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Change:
    """One change: who made it, what became of what."""

    pk: int
    changed_at: datetime
    os_user: str
    os_host: str
    action: str
    subject: str
    name: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


def note(
    connection: Connection,
    action: str,
    subject: str,
    name: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write down a change: `action` is a verb, `subject` a kind of thing (as area), `name` its name."""
    noted = Note(action, subject, name, _plain(before), _plain(after))
    connection.execute(
        insert(changes).values(
            changed_at=datetime.now(UTC),
            os_user=_os_user(),
            os_host=os.uname().nodename,
            action=noted.action,
            subject=noted.subject,
            name=noted.name,
            before=noted.before,
            after=noted.after,
        )
    )
    if (heard := connection.info.get(_HEARD)) is not None:
        heard.append(noted)


@contextmanager
def heard(connection: Connection) -> Iterator[list[Note]]:
    """What is noted on a connection meanwhile, in its order; it holds once the transaction is committed."""
    info = connection.info  # asked for once: a connection that is lost meanwhile has none
    notes: list[Note] = []
    info[_HEARD] = notes
    try:
        yield notes
    finally:
        info.pop(_HEARD, None)


def history(
    connection: Connection,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    subject: str | None = None,
    name: str | None = None,
    limit: int | None = None,
) -> list[Change]:
    """The changes of a time, newest first."""
    statement = select(*(changes.c[field] for field in Change.__slots__)).order_by(changes.c.pk.desc()).limit(limit)
    for condition in (
        None if since is None else changes.c.changed_at >= since,
        None if until is None else changes.c.changed_at < until,
        None if subject is None else changes.c.subject == subject,
        None if name is None else changes.c.name == name,
    ):
        if condition is not None:
            statement = statement.where(condition)
    return [Change(*row) for row in connection.execute(statement)]


def forget(connection: Connection, before: datetime, most: int) -> int:
    """Drop the oldest changes that were made before a moment, at most so many."""
    old = select(changes.c.pk).where(changes.c.changed_at < before).order_by(changes.c.changed_at).limit(most)
    return connection.execute(delete(changes).where(changes.c.pk.in_(old))).rowcount


def _os_user() -> str:
    """The user by the process, not by its environment, which anybody may set."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a user without a name, as in containers
        return str(os.getuid())


def _plain(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """As JSON has it."""
    if values is None:
        return None
    return {
        name: value.isoformat() if isinstance(value, date | datetime) else value
        for name, value in values.items()
        if name not in tables.UNNOTED
    }
