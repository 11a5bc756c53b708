"""What the administrator changes: each function is one decision, made inside the caller's transaction.

Raises Misconfigured with one sentence that says what to do; the transaction is then rolled back and nothing has
happened. Every change moves the revision, so that services read the registry again for the next association.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

from sqlalchemy import Column, Connection, Row, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from archive.database import dialects
from archive.errors import Misconfigured
from archive.registry import tables
from archive.registry.tables import access_rules, ae_titles, peers, registry_revision, storage_areas

# AE: 1 to 16 characters of the default repertoire without backslash and control characters (PS3.5 6.2).
_AE_TITLE = re.compile(r"(?! )[ -\[\]-~]{1,16}(?<! )")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?"
)

ACCESS = {"R": (True, False), "W": (False, True), "RW": (True, True), "WR": (True, True)}

# What `set_area` may change, and what a value may be.
AREA_SETTINGS = ("path", "durability", "duplicates", "accept_unknown_sop_classes", "strict_names", "answer_limit")


def add_area(connection: Connection, name: str, path: str, settings: Mapping[str, Any]) -> None:
    """A new storage area whose files lie in `path`: absolute, or relative to the data folder."""
    _require(_NAME, name, "An area's name is 1 to 64 letters, digits, '.', '_' and '-'", name=name)
    _require_apart(connection, path)
    _insert(connection, storage_areas, f"There is an area {name} already", name=name, path=path, **settings)


def set_area(connection: Connection, name: str, settings: Mapping[str, Any]) -> None:
    """Change settings of an area; see AREA_SETTINGS."""
    area = _named(connection, storage_areas.c.name, name, "area", "archive area list")
    if "path" in settings and settings["path"] != area.path:
        raise Misconfigured(
            "The path of an area cannot be changed by a setting: its rows name files there. "
            "Move the folder and put a symbolic link in its place",
            name=name,
        )
    connection.execute(update(storage_areas).where(storage_areas.c.pk == area.pk).values(**settings))
    _changed(connection)


def remove_area(connection: Connection, name: str) -> None:
    """Remove an area that no title names; the caller has seen to it that it holds nothing."""
    area = _named(connection, storage_areas.c.name, name, "area", "archive area list")
    title = connection.scalar(select(ae_titles.c.title).where(ae_titles.c.area_pk == area.pk))
    if title is not None:
        raise Misconfigured(f"AE title {title} works in area {name}; run: archive ae remove {title}")
    _delete(connection, storage_areas, area.pk, f"Area {name} still holds instances; remove its studies first")


def hold_area(connection: Connection, area_pk: int) -> None:
    """Until this transaction ends, nobody else holds or changes the area; stores into it go on."""
    row = select(storage_areas.c.pk).where(storage_areas.c.pk == area_pk)
    connection.execute(row.with_for_update(key_share=True))  # FOR NO KEY UPDATE: foreign keys do not mind


def add_title(connection: Connection, title: str, area: str, access: str) -> None:
    """A new AE title of ours that works in `area`."""
    require_ae_title(title)
    can_read, can_write = _access(access)
    area_pk = _named(connection, storage_areas.c.name, area, "area", "archive area list").pk
    values = {"area_pk": area_pk, "can_read": can_read, "can_write": can_write}
    _insert(connection, ae_titles, f"There is an AE title {title} already", title=title, **values)


def set_title(connection: Connection, title: str, area: str | None, access: str | None) -> None:
    """Let a title work in another area or be open for something else."""
    row = _named(connection, ae_titles.c.title, title, "AE title of ours", "archive ae list")
    values: dict[str, Any] = {}
    if area is not None:
        values["area_pk"] = _named(connection, storage_areas.c.name, area, "area", "archive area list").pk
    if access is not None:
        values["can_read"], values["can_write"] = _access(access)
    if not values:
        raise Misconfigured("Nothing to change; name --area or --access")
    connection.execute(update(ae_titles).where(ae_titles.c.pk == row.pk).values(**values))
    _changed(connection)


def remove_title(connection: Connection, title: str) -> None:
    """Remove a title of ours and its rules; its area stays."""
    row = _named(connection, ae_titles.c.title, title, "AE title of ours", "archive ae list")
    _delete(connection, ae_titles, row.pk, f"AE title {title} is still in use")


def add_peer(connection: Connection, name: str, title: str, host: str, port: int) -> None:
    """A remote application entity."""
    _require(_NAME, name, "A peer's name is 1 to 64 letters, digits, '.', '_' and '-'", name=name)
    require_ae_title(title)
    _require_host(host)
    _require_port(port)
    values = {"ae_title": title, "host": host, "port": port}
    _insert(
        connection,
        peers,
        f"There is a peer {name}, or one with this title, host and port, already",
        name=name,
        **values,
    )


def set_peer(connection: Connection, name: str, title: str | None, host: str | None, port: int | None) -> None:
    """Change where a peer is or what it calls itself."""
    row = _named(connection, peers.c.name, name, "peer", "archive peer list")
    values: dict[str, Any] = {}
    if title is not None:
        require_ae_title(title)
        values["ae_title"] = title
    if host is not None:
        _require_host(host)
        values["host"] = host
    if port is not None:
        _require_port(port)
        values["port"] = port
    if not values:
        raise Misconfigured("Nothing to change; name --title, --host or --port")
    try:
        connection.execute(update(peers).where(peers.c.pk == row.pk).values(**values))
    except IntegrityError as error:
        raise Misconfigured("There is a peer with this title, host and port already", name=name) from error
    _changed(connection)


def remove_peer(connection: Connection, name: str) -> None:
    """Remove a peer, and with it the rules that speak of it."""
    row = _named(connection, peers.c.name, name, "peer", "archive peer list")
    _delete(connection, peers, row.pk, f"Peer {name} is still in use")


def add_rule(
    connection: Connection,
    at: str,
    *,
    allows: bool,
    peer: str | None = None,
    calling_ae_title: str | None = None,
    network: str | None = None,
    operations: Iterable[str] = tables.OPERATIONS,
) -> int:
    """A rule at our title `at`: for a peer, for a calling title, or for anybody; returns its number."""
    title = _named(connection, ae_titles.c.title, at, "AE title of ours", "archive ae list")
    peer_pk = None if peer is None else _named(connection, peers.c.name, peer, "peer", "archive peer list").pk
    if calling_ae_title is not None:
        require_ae_title(calling_ae_title)
    if network is not None:
        require_network(network)
    can = frozenset(operations)
    unknown = can - set(tables.OPERATIONS)
    if unknown or not can:
        raise Misconfigured(f"--can takes a list of {','.join(tables.OPERATIONS)}", got=",".join(sorted(unknown)))
    result = connection.execute(
        insert(access_rules)
        .values(
            ae_title_pk=title.pk,
            action="allow" if allows else "deny",
            peer_pk=peer_pk,
            calling_ae_title=calling_ae_title,
            network=network,
            created_at=datetime.now(UTC),
            **{f"can_{operation}": operation in can for operation in tables.OPERATIONS},
        )
        .returning(access_rules.c.pk)
    )
    _changed(connection)
    return result.scalar_one()


def remove_rule(connection: Connection, number: int) -> None:
    """Remove a rule by its number."""
    row = _named(connection, access_rules.c.pk, number, "rule", "archive rule list")
    _delete(connection, access_rules, row.pk, f"Rule {number} is still in use")


def found(connection: Connection, area: str, path: str) -> bool:
    """The first start: one area, one title of the same name, anybody on this machine; False if that is done already."""
    # Whoever else is at it holds us up here until it is done, and then there is nothing left to do.
    first = dialects.insert_once(connection.dialect.name, registry_revision, "pk")
    if connection.scalar(first, {"pk": 1, "revision": 0}) is None:
        return False
    add_area(connection, area, path, {})
    add_title(connection, area, area, "RW")
    for network in ("127.0.0.0/8", "::1/128"):
        add_rule(connection, area, allows=True, network=network)
    return True


def require_ae_title(title: str) -> None:
    _require(_AE_TITLE, title, "An AE title is 1 to 16 characters of ASCII without backslash", ae_title=title)


def require_network(network: str) -> None:
    """An address, a network in CIDR notation, or a host name."""
    try:
        ipaddress.ip_network(network, strict=False)
    except ValueError:
        if "/" in network:
            raise Misconfigured("This is not a network; write for instance 10.1.0.0/16", network=network) from None
        _require_host(network)


def _require_host(host: str) -> None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        looks_numeric = host.replace(".", "").isdigit()
        if looks_numeric or not _HOST_NAME.fullmatch(host):
            raise Misconfigured("This is neither an address nor a host name", host=host) from None


def _require_port(port: int) -> None:
    if not 1 <= port <= 65535:
        raise Misconfigured("A port is a number from 1 to 65535", port=port)


def _require(pattern: re.Pattern[str], value: str, sentence: str, **values: object) -> None:
    if not pattern.fullmatch(value):
        raise Misconfigured(sentence, **values)


def _require_apart(connection: Connection, path: str) -> None:
    """Two areas never share a folder, nor lies one in the other: each file has one owner."""
    for name, other in connection.execute(select(storage_areas.c.name, storage_areas.c.path)):
        one, two = PurePath(path), PurePath(other)
        if one.is_relative_to(two) or two.is_relative_to(one):
            raise Misconfigured(f"The folder lies in that of area {name}, or that in it; choose another", path=path)


def _access(access: str) -> tuple[bool, bool]:
    try:
        return ACCESS[access.upper()]
    except KeyError:
        raise Misconfigured("Access is R, W or RW", access=access) from None


def _named(connection: Connection, column: Column[Any], value: object, noun: str, listing: str) -> Row[Any]:
    row = connection.execute(select(column.table).where(column == value)).one_or_none()
    if row is None:
        raise Misconfigured(f"There is no {noun} {value}; run: {listing}")
    return row


def _insert(connection: Connection, table: Table, taken: str, **values: object) -> None:
    try:
        connection.execute(insert(table).values(created_at=datetime.now(UTC), **values))
    except IntegrityError as error:
        raise Misconfigured(taken) from error
    _changed(connection)


def _delete(connection: Connection, table: Table, pk: int, in_use: str) -> None:
    try:
        connection.execute(delete(table).where(table.c.pk == pk))
    except IntegrityError as error:
        raise Misconfigured(in_use) from error
    _changed(connection)


def _changed(connection: Connection) -> None:
    connection.execute(update(registry_revision).values(revision=registry_revision.c.revision + 1))
