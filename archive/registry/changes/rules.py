"""What the administrator changes about access rules."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select

from archive.errors import Misconfigured
from archive.registry import names, steps, tables
from archive.registry.changes.named import group_row, peer_row, title_row
from archive.registry.tables import access_rules, ae_titles, peer_groups, peers


def add_rule(
    connection: Connection,
    at: str,
    *,
    allows: bool,
    peer: str | None = None,
    group: str | None = None,
    vendor: str | None = None,
    calling_ae_title: str | None = None,
    network: str | None = None,
    operations: Iterable[str] | None = None,
) -> int:
    """A rule at our title `at`: for a peer, a group or vendor, a calling title, or for anybody; returns its number.

    Without operations, an allow is about all but shutdown, and a deny about that too.
    """
    if calling_ae_title is not None:
        names.require_ae_title(calling_ae_title)
    if network is not None:
        names.require_network(network)
    if sum(each is not None for each in (peer, group, vendor, calling_ae_title or network)) > 1:
        raise Misconfigured("A rule is for a peer, or a group, or a vendor, or a calling AE title and network")
    can = _operations(operations, tables.OPERATIONS if allows else tables.RULED)
    values = {
        "ae_title_pk": title_row(connection, at).pk,
        "action": "allow" if allows else "deny",
        "peer_pk": None if peer is None else peer_row(connection, peer).pk,
        "group_pk": _group_pk(connection, group, vendor),
        "calling_ae_title": calling_ae_title,
        "network": network,
        **{f"can_{operation}": operation in can for operation in tables.RULED},
    }
    rule = connection.execute(
        insert(access_rules).values(created_at=datetime.now(UTC), **values).returning(access_rules)
    ).one()
    steps.changed(connection, "add", "rule", str(rule.pk), after=_ruled(connection, rule))
    return rule.pk


def _operations(named: Iterable[str] | None, default: Iterable[str]) -> frozenset[str]:
    can = frozenset(default if named is None else named)
    unknown = can - set(tables.RULED)
    if unknown or not can:
        raise Misconfigured(f"--can takes a list of {','.join(tables.RULED)}", got=",".join(sorted(unknown)))
    return can


def remove_rule(connection: Connection, number: int) -> None:
    """Remove a rule by its number."""
    _remove_rule(connection, steps.named(connection, access_rules.c.pk, number, "rule", "archive rule list"))


def remove_rules(connection: Connection, which: ColumnElement[bool]) -> None:
    """Remove the rules for which a condition holds, each with its note."""
    for rule in connection.execute(select(access_rules).where(which)).all():
        _remove_rule(connection, rule)


def _remove_rule(connection: Connection, rule: Row[Any]) -> None:
    before = _ruled(connection, rule)
    steps.delete_row(connection, access_rules, rule, in_use=f"Rule {rule.pk} is still in use")
    steps.changed(connection, "remove", "rule", str(rule.pk), before=before)


def _group_pk(connection: Connection, group: str | None, vendor: str | None) -> int | None:
    if group is None and vendor is None:
        return None
    if group is not None:
        return group_row(connection, group, is_vendor=False).pk
    return group_row(connection, str(vendor), is_vendor=True).pk


def _ruled(connection: Connection, rule: Row[Any]) -> dict[str, Any]:
    """A rule with the names of what it speaks of."""
    return {
        "at": connection.scalar(select(ae_titles.c.title).where(ae_titles.c.pk == rule.ae_title_pk)),
        "action": rule.action,
        "peer": connection.scalar(select(peers.c.name).where(peers.c.pk == rule.peer_pk)),
        "group": connection.scalar(select(peer_groups.c.name).where(peer_groups.c.pk == rule.group_pk)),
        "calling_ae_title": rule.calling_ae_title,
        "network": rule.network,
        "can": [operation for operation in tables.RULED if getattr(rule, f"can_{operation}")],
    }
