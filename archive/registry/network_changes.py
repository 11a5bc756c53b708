"""What the administrator changes about network rules, whose order counts; see `changes`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from archive.registry import networks
from archive.registry.networks import Clients
from archive.registry.steps import changed, delete_row, named, one_at_a_time
from archive.registry.tables import network_rules


def add_rule(
    connection: Connection, clients: str, *, accepts: bool, before: int | None = None, first: bool = False
) -> int:
    """A rule about clients, the last one unless `first` or `before` a rule with this number; returns its number."""
    one_at_a_time(connection)
    position = _position(connection, before, first=first)
    return _insert(connection, networks.parse(clients), accepts, position)


def append_rules(connection: Connection, rules: Sequence[tuple[bool, Clients]]) -> list[int]:
    """Rules behind those there are: whether each accepts, and whom; returns their numbers."""
    one_at_a_time(connection)
    return [_insert(connection, clients, accepts, _position(connection, None)) for accepts, clients in rules]


def remove_rule(connection: Connection, number: int) -> None:
    """Remove a network rule by its number."""
    row = _rule(connection, number)
    delete_row(connection, network_rules, row, in_use=f"Network rule {number} is still in use")
    changed(connection, "remove", "network_rule", str(number), before=row._asdict())


def _position(connection: Connection, before: int | None, *, first: bool = False) -> int:
    """Where a new rule stands; what is to stand behind it makes room."""
    if not first and before is None:
        return (connection.scalar(select(func.max(network_rules.c.position))) or 0) + 1
    position = 1 if before is None else _rule(connection, before).position
    behind = network_rules.c.position >= position
    connection.execute(update(network_rules).where(behind).values(position=network_rules.c.position + 1))
    return position


def _insert(connection: Connection, clients: Clients, accepts: bool, position: int) -> int:
    values = {"position": position, "action": "accept" if accepts else "close", "clients": str(clients)}
    added = insert(network_rules).values(created_at=datetime.now(UTC), **values).returning(network_rules.c.pk)
    number = connection.execute(added).scalar_one()
    changed(connection, "add", "network_rule", str(number), after=values)
    return number


def _rule(connection: Connection, number: int) -> Row[Any]:
    return named(connection, network_rules.c.pk, number, "network rule", "archive network list")
