"""What the administrator changes about users."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row

from archive.errors import Misconfigured
from archive.registry import steps
from archive.registry.tables import users


def add_user(connection: Connection, name: str, password_hash: str | None) -> None:
    """A user; without a hash of a password the name alone is enough."""
    require_user_name(name)
    values = {"name": name, "password_hash": password_hash}
    steps.insert_row(connection, users, values, taken=f"There is a user {name} already")
    steps.changed(connection, "add", "user", name, after=_unhashed(values))


def set_user(connection: Connection, name: str, values: Mapping[str, Any]) -> None:
    """Change a user's `password_hash`, or whether it is `disabled`."""
    row = _user(connection, name)
    if not values:
        raise Misconfigured("Nothing to change; name --password, --no-password, --disable or --enable")
    steps.update_row(connection, users, row, values)
    steps.changed(
        connection, "set", "user", name, before=_unhashed(steps.differing(row, values)), after=_unhashed(values)
    )


def remove_user(connection: Connection, name: str) -> None:
    """Remove a user."""
    row = _user(connection, name)
    steps.delete_row(connection, users, row, in_use=f"User {name} is still in use")
    steps.changed(connection, "remove", "user", name, before=_unhashed(row._asdict()))


def require_user_name(name: str) -> None:
    """1 to 64 characters that can be seen, without spaces around them."""
    if not 1 <= len(name) <= 64 or not name.isprintable() or name != name.strip():
        raise Misconfigured("A user's name is 1 to 64 visible characters without spaces around them", name=name)


def _user(connection: Connection, name: str) -> Row[Any]:
    return steps.named(connection, users.c.name, name, "user", "archive user list")


def _unhashed(values: Mapping[str, Any]) -> dict[str, Any]:
    """A user's values, with no more of the password than whether there is one: the note of a change is no secret."""
    shown = dict(values)
    if "password_hash" in shown:
        shown["has_password"] = shown.pop("password_hash") is not None
    return shown
