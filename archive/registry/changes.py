"""What the administrator changes: each function is one decision, made inside the caller's transaction.

Raises Misconfigured with one sentence that says what to do; the transaction is then rolled back and nothing has
happened. Every change moves the revision, so that services read the registry again for the next association, and leaves
a note of who made it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, insert, select

from archive.database import dialects
from archive.database.prepared import Prepared
from archive.dicom.normal import EncodingOptions
from archive.errors import Misconfigured
from archive.registry import answering, certificates, names, networks, profile_rows, snapshot, tables
from archive.registry.association_profiles import AssociationProfile, write
from archive.registry.snapshot import Quota
from archive.registry.steps import changed as _changed
from archive.registry.steps import delete_row as _delete
from archive.registry.steps import differing as _of
from archive.registry.steps import insert_row as _insert
from archive.registry.steps import named as _named
from archive.registry.steps import one_at_a_time
from archive.registry.steps import update_row as _update
from archive.registry.tables import (
    access_rules,
    ae_titles,
    association_profiles,
    move_destinations,
    peer_group_members,
    peer_groups,
    peers,
    registry_revision,
    storage_areas,
    users,
)

ACCESS = {"R": (True, False), "W": (False, True), "RW": (True, True), "WR": (True, True)}


# What of an area's settings says how data sets are written anew, by its name in EncodingOptions.
ENCODING_SETTINGS = {each.name: each.name for each in fields(EncodingOptions)} | {
    "transfer_syntax_uid": "written_transfer_syntax"
}


# FOR NO KEY UPDATE: foreign keys do not mind.
_hold_area = Prepared(
    lambda _: (
        select(*snapshot.QUOTA_COLUMNS).where(storage_areas.c.pk == bindparam("area")).with_for_update(key_share=True)
    )
)


def add_area(connection: Connection, name: str, path: str, settings: Mapping[str, Any]) -> None:
    """A new storage area whose files lie in `path`: absolute, or relative to the data folder."""
    names.require_name(name, "an area")
    _require_apart(connection, path)
    _require_encoding(settings)
    values = {"name": name, "path": path, **settings}
    _insert(connection, storage_areas, values, taken=f"There is an area {name} already")
    _require_less_headroom_than_room(connection, name)
    _changed(connection, "add", "area", name, after=values)


def set_area(connection: Connection, name: str, settings: Mapping[str, Any]) -> None:
    """Change settings of an area: columns of storage_areas."""
    area = _area(connection, name)
    if "path" in settings and settings["path"] != area.path:
        raise Misconfigured(
            "The path of an area cannot be changed by a setting: its rows name files there. "
            "Move the folder and put a symbolic link in its place",
            name=name,
        )
    _require_encoding(settings)
    _update(connection, storage_areas, area, settings)
    _require_less_headroom_than_room(connection, name)
    _changed(connection, "set", "area", name, before=_of(area, settings), after=settings)


def _require_less_headroom_than_room(connection: Connection, name: str) -> None:
    """With as much headroom as room, housekeeping would leave nothing."""
    area = connection.execute(select(storage_areas).where(storage_areas.c.name == name)).one()
    if area.headroom_bytes is not None and area.max_bytes is not None and area.headroom_bytes >= area.max_bytes:
        raise Misconfigured(
            "The headroom is as large as the area may be; choose a smaller one",
            headroom_bytes=area.headroom_bytes,
            max_bytes=area.max_bytes,
        )


def remove_area(connection: Connection, name: str) -> None:
    """Remove an area that no title names; the caller has seen to it that it holds nothing."""
    area = _area(connection, name)
    title = connection.scalar(select(ae_titles.c.title).where(ae_titles.c.area_pk == area.pk))
    if title is not None:
        raise Misconfigured(f"AE title {title} works in area {name}; run: archive ae remove {title}")
    _delete(connection, storage_areas, area, in_use=f"Area {name} still holds instances; remove its studies first")
    _changed(connection, "remove", "area", name, before=area._asdict())


def hold_area(connection: Connection, area_pk: int) -> Quota | None:
    """Until this transaction ends, nobody else holds or changes the area; its quota, None if it was removed.

    Stores go on where no quota decides them.
    """
    rows = _hold_area.run(connection, {"area": area_pk}).rows
    return snapshot.quota_of(rows[0]) if rows else None


def add_title(
    connection: Connection, title: str, area: str, access: str, settings: Mapping[str, Any] | None = None
) -> None:
    """A new AE title of ours that works in `area`; `settings` as for `set_title`."""
    names.require_ae_title(title)
    can_read, can_write = _access(access)
    values = {"title": title, "area_pk": _area(connection, area).pk, "can_read": can_read, "can_write": can_write}
    values |= _profiled(connection, settings or {}, AssociationProfile.check_acceptor)
    answering.require(values)
    _require_a_model(values)
    _insert(connection, ae_titles, values, taken=f"There is an AE title {title} already")
    _changed(connection, "add", "ae_title", title, after=_titled(connection, values))


def set_title(connection: Connection, title: str, settings: Mapping[str, Any]) -> None:
    """Change a title: `area` and `profile` (their names), `access` (R, W or RW), and columns."""
    row = _title(connection, title)
    values = _profiled(connection, settings, AssociationProfile.check_acceptor)
    if "area" in values:
        values["area_pk"] = _area(connection, values.pop("area")).pk
    if "access" in values:
        values["can_read"], values["can_write"] = _access(values.pop("access"))
    if not values:
        raise Misconfigured("Nothing to change; archive ae set --help lists the settings")
    answering.require(values)
    _require_a_model(row._asdict() | values)
    _update(connection, ae_titles, row, values)
    before, after = _titled(connection, _of(row, values)), _titled(connection, values)
    _changed(connection, "set", "ae_title", title, before=before, after=after)


def remove_title(connection: Connection, title: str) -> None:
    """Remove a title of ours and its rules; its area stays."""
    row = _title(connection, title)
    remove_rules(connection, access_rules.c.ae_title_pk == row.pk)
    before = _titled(connection, row._asdict())
    _delete(connection, ae_titles, row, in_use=f"AE title {title} is still in use")
    _changed(connection, "remove", "ae_title", title, before=before)


def _require_a_model(values: Mapping[str, Any]) -> None:
    models = ("allows_patient_root", "allows_study_root", "allows_patient_study_only")
    if not any(values.get(model, True) for model in models):
        raise Misconfigured("A title offers at least one of Patient Root, Study Root and Patient/Study Only")


def add_peer(
    connection: Connection,
    name: str,
    title: str,
    host: str,
    port: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """A remote application entity; one without a port, or with a network for host, only calls.

    `settings` as for `set_peer`; by default it is called without TLS, and its host is checked where it has TLS.
    """
    names.require_name(name, "a peer")
    require_free_name(connection, name)
    values = {"name": name, "ae_title": title, "host": host, "port": port}
    values |= _profiled(connection, _secured(settings or {}), AssociationProfile.check_requestor)
    _require_peer(values)
    taken = f"There is a peer {name}, or one with this title, host and port, already"
    _insert(connection, peers, values, taken=taken)
    _changed(connection, "add", "peer", name, after=_with_profile(connection, values))


def set_peer(connection: Connection, name: str, settings: Mapping[str, Any]) -> None:
    """Change where a peer is, what it calls itself, how it is secured: `profile` (its name), and columns of peers."""
    row = _peer(connection, name)
    if not settings:
        raise Misconfigured("Nothing to change; archive peer set --help lists the settings")
    values = _profiled(connection, _secured(settings), AssociationProfile.check_requestor)
    _require_peer({**row._asdict(), **values})
    _update(connection, peers, row, values, taken="There is a peer with this title, host and port already")
    before, after = _with_profile(connection, _of(row, values)), _with_profile(connection, values)
    _changed(connection, "set", "peer", name, before=before, after=after)


def _secured(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a peer with a certificate as it is compared; raises Misconfigured."""
    certificate = settings.get("certificate")
    return dict(settings) if certificate is None else {**settings, "certificate": certificates.parse(certificate)}


def remove_peer(connection: Connection, name: str) -> None:
    """Remove a peer, and with it the rules that speak of it, its places in groups and among move destinations."""
    row = _peer(connection, name)
    remove_rules(connection, access_rules.c.peer_pk == row.pk)
    before = {**row._asdict(), "groups": _groups_with(connection, row), "destination_of": _titles_to(connection, row)}
    _delete(connection, peers, row, in_use=f"Peer {name} is still in use")
    _changed(connection, "remove", "peer", name, before=_with_profile(connection, before))


def _require_peer(values: Mapping[str, Any]) -> None:
    names.require_ae_title(values["ae_title"])
    names.require_network(values["host"])
    answering.require(values)
    if values["port"] is None:
        return
    names.require_port(values["port"])
    if networks.is_network(values["host"]):
        raise Misconfigured(
            "A peer whose host is a network only calls: give it no port, or an address or host name",
            host=values["host"],
            port=values["port"],
        )


def require_free_name(connection: Connection, name: str) -> None:
    """Peers and groups share one space of names: members and destinations are found by it."""
    one_at_a_time(connection)
    for table, noun in ((peers, "peer"), (peer_groups, "group or vendor")):
        if connection.scalar(select(table.c.pk).where(table.c.name == name)) is not None:
            raise Misconfigured(f"There is a {noun} {name} already")


def _groups_with(connection: Connection, peer: Row[Any]) -> list[str]:
    joined = peer_groups.join(peer_group_members, peer_group_members.c.group_pk == peer_groups.c.pk)
    statement = select(peer_groups.c.name).select_from(joined).where(peer_group_members.c.peer_pk == peer.pk)
    return list(connection.scalars(statement.order_by(peer_groups.c.name)))


def _titles_to(connection: Connection, peer: Row[Any]) -> list[str]:
    joined = ae_titles.join(move_destinations)
    statement = select(ae_titles.c.title).select_from(joined).where(move_destinations.c.peer_pk == peer.pk)
    return list(connection.scalars(statement.order_by(ae_titles.c.title)))


def add_user(connection: Connection, name: str, password_hash: str | None) -> None:
    """A user; without a hash of a password the name alone is enough."""
    require_user_name(name)
    values = {"name": name, "password_hash": password_hash}
    _insert(connection, users, values, taken=f"There is a user {name} already")
    _changed(connection, "add", "user", name, after=_unhashed(values))


def set_user(connection: Connection, name: str, values: Mapping[str, Any]) -> None:
    """Change a user's `password_hash`, or whether it is `disabled`."""
    row = _user(connection, name)
    if not values:
        raise Misconfigured("Nothing to change; name --password, --no-password, --disable or --enable")
    _update(connection, users, row, values)
    _changed(connection, "set", "user", name, before=_unhashed(_of(row, values)), after=_unhashed(values))


def remove_user(connection: Connection, name: str) -> None:
    """Remove a user."""
    row = _user(connection, name)
    _delete(connection, users, row, in_use=f"User {name} is still in use")
    _changed(connection, "remove", "user", name, before=_unhashed(row._asdict()))


def _user(connection: Connection, name: str) -> Row[Any]:
    return _named(connection, users.c.name, name, "user", "archive user list")


def _unhashed(values: Mapping[str, Any]) -> dict[str, Any]:
    """A user's values, with no more of the password than whether there is one: the note of a change is no secret."""
    shown = dict(values)
    if "password_hash" in shown:
        shown["has_password"] = shown.pop("password_hash") is not None
    return shown


def require_user_name(name: str) -> None:
    """1 to 64 characters that can be seen, without spaces around them."""
    if not 1 <= len(name) <= 64 or not name.isprintable() or name != name.strip():
        raise Misconfigured("A user's name is 1 to 64 visible characters without spaces around them", name=name)


def put_profile(connection: Connection, profile: AssociationProfile) -> str:
    """Add a profile, or give one of its name other contents; returns "add", "set", or "" where nothing differs."""
    known = {each.name.upper(): (pk, each) for pk, each in _profiles(connection).items()}
    pk, before = known.get(profile.name.upper(), (None, None))
    if pk is None or before is None:
        profile_rows.add(connection, profile)
        _changed(connection, "add", "profile", profile.name, after=_written(profile))
        return "add"
    profile = replace(profile, name=before.name)
    if profile == before:
        return ""
    if connection.scalar(select(ae_titles.c.pk).where(ae_titles.c.profile_pk == pk).limit(1)) is not None:
        profile.check_acceptor()
    if connection.scalar(select(peers.c.pk).where(peers.c.profile_pk == pk).limit(1)) is not None:
        profile.check_requestor()
    profile_rows.replace(connection, pk, profile)
    _changed(connection, "set", "profile", profile.name, before=_written(before), after=_written(profile))
    return "set"


def remove_profile(connection: Connection, name: str) -> None:
    """Remove a profile that nobody uses."""
    row = _profile(connection, name)
    name = row.name
    title = connection.scalar(select(ae_titles.c.title).where(ae_titles.c.profile_pk == row.pk))
    if title is not None:
        raise Misconfigured(f"AE title {title} accepts by it; run: archive ae set {title} --profile none")
    peer = connection.scalar(select(peers.c.name).where(peers.c.profile_pk == row.pk))
    if peer is not None:
        raise Misconfigured(f"What is sent to peer {peer} goes by it; run: archive peer set {peer} --profile none")
    before = _profiles(connection)[row.pk]
    _delete(connection, association_profiles, row, in_use=f"Profile {name} is still in use")
    _changed(connection, "remove", "profile", name, before=_written(before))


def _profiled(
    connection: Connection, settings: Mapping[str, Any], check: Callable[[AssociationProfile], None]
) -> dict[str, Any]:
    """Settings with the key of the profile they name, which passes `check`."""
    values = dict(settings)
    if "profile" in values:
        name = values.pop("profile")
        values["profile_pk"] = None
        if name is not None:
            pk = values["profile_pk"] = _profile(connection, name).pk
            check(_profiles(connection)[pk])
    return values


def _profiles(connection: Connection) -> dict[int, AssociationProfile]:
    return profile_rows.assembled(
        {table: connection.execute(select(table).order_by(table.c.pk)).all() for table in profile_rows.TABLES}
    )


def _written(profile: AssociationProfile) -> dict[str, Any]:
    """A profile in a note: as its file has it."""
    return {"profile": write((profile,)).decode("ascii")}


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
    can = frozenset((tables.OPERATIONS if allows else tables.RULED) if operations is None else operations)
    unknown = can - set(tables.RULED)
    if unknown or not can:
        raise Misconfigured(f"--can takes a list of {','.join(tables.RULED)}", got=",".join(sorted(unknown)))
    values = {
        "ae_title_pk": _title(connection, at).pk,
        "action": "allow" if allows else "deny",
        "peer_pk": None if peer is None else _peer(connection, peer).pk,
        "group_pk": _group_pk(connection, group, vendor),
        "calling_ae_title": calling_ae_title,
        "network": network,
        **{f"can_{operation}": operation in can for operation in tables.RULED},
    }
    rule = connection.execute(insert(access_rules).values(created_at=_now(), **values).returning(access_rules)).one()
    _changed(connection, "add", "rule", str(rule.pk), after=_ruled(connection, rule))
    return rule.pk


def _group_pk(connection: Connection, group: str | None, vendor: str | None) -> int | None:
    if group is None and vendor is None:
        return None
    if group is not None:
        return group_row(connection, group, is_vendor=False).pk
    return group_row(connection, str(vendor), is_vendor=True).pk


def group_row(connection: Connection, name: str, *, is_vendor: bool | None = None) -> Row[Any]:
    """A group or vendor by its name; raises Misconfigured, also where it is the other of both."""
    noun = {True: "vendor", False: "group", None: "group or vendor"}[is_vendor]
    row = _named(connection, peer_groups.c.name, name, noun, "archive group list")
    if is_vendor is not None and row.kind != noun:
        raise Misconfigured(f"{name} is a {row.kind}; write --{row.kind} {name}")
    return row


def remove_rule(connection: Connection, number: int) -> None:
    """Remove a rule by its number."""
    _remove_rule(connection, _named(connection, access_rules.c.pk, number, "rule", "archive rule list"))


def remove_rules(connection: Connection, which: ColumnElement[bool]) -> None:
    """Remove the rules for which a condition holds, each with its note."""
    for rule in connection.execute(select(access_rules).where(which)).all():
        _remove_rule(connection, rule)


def _remove_rule(connection: Connection, rule: Row[Any]) -> None:
    before = _ruled(connection, rule)
    _delete(connection, access_rules, rule, in_use=f"Rule {rule.pk} is still in use")
    _changed(connection, "remove", "rule", str(rule.pk), before=before)


def begin(connection: Connection) -> bool:
    """The first change of all makes the row that counts them; False if that is there already."""
    # Whoever else is at it holds us up here until it is done, and then there is nothing left to do.
    first = dialects.insert_once(connection.dialect.name, registry_revision, "pk")
    return connection.scalar(first, {"pk": 1, "revision": 0}) is not None


def found(connection: Connection, area: str, path: str) -> bool:
    """The first start: one area, one title of the same name, anybody on this machine; False if that is done already."""
    if not begin(connection):
        return False
    add_area(connection, area, path, {})
    add_title(connection, area, area, "RW")
    for network in ("127.0.0.0/8", "::1/128"):
        add_rule(connection, area, allows=True, network=network)
    return True


def _require_apart(connection: Connection, path: str) -> None:
    """Two areas never share a folder, nor lies one in the other: each file has one owner."""
    for name, other in connection.execute(select(storage_areas.c.name, storage_areas.c.path)):
        one, two = PurePath(path), PurePath(other)
        if one.is_relative_to(two) or two.is_relative_to(one):
            raise Misconfigured(f"The folder lies in that of area {name}, or that in it; choose another", path=path)


def _require_encoding(settings: Mapping[str, Any]) -> None:
    """Data sets can be written anew as these settings of an area say."""
    given = {name: settings[column] for name, column in ENCODING_SETTINGS.items() if column in settings}
    EncodingOptions(**given)


def _access(access: str) -> tuple[bool, bool]:
    try:
        return ACCESS[access.upper()]
    except KeyError:
        raise Misconfigured("Access is R, W or RW", access=access) from None


def _area(connection: Connection, name: str) -> Row[Any]:
    return _named(connection, storage_areas.c.name, name, "area", "archive area list")


def _title(connection: Connection, title: str) -> Row[Any]:
    return _named(connection, ae_titles.c.title, title, "AE title of ours", "archive ae list")


def _peer(connection: Connection, name: str) -> Row[Any]:
    return _named(connection, peers.c.name, name, "peer", "archive peer list")


def _profile(connection: Connection, name: str) -> Row[Any]:
    """By its name, whatever its case."""
    known = connection.scalars(select(association_profiles.c.name))
    name = next((each for each in known if each.upper() == name.upper()), name)
    return _named(connection, association_profiles.c.name, name, "association profile", "archive profile list")


def _with_profile(connection: Connection, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values with the name of a profile for its key."""
    shown = dict(values)
    if "profile_pk" in shown:
        pk = shown.pop("profile_pk")
        name = select(association_profiles.c.name).where(association_profiles.c.pk == pk)
        shown["profile"] = None if pk is None else connection.scalar(name)
    return shown


def _titled(connection: Connection, values: Mapping[str, Any]) -> dict[str, Any]:
    """A title's values with the names of its area and its profile."""
    shown = _with_profile(connection, values)
    if "area_pk" in shown:
        area_pk = shown.pop("area_pk")
        shown["area"] = connection.scalar(select(storage_areas.c.name).where(storage_areas.c.pk == area_pk))
    return shown


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


def _now() -> datetime:
    return datetime.now(UTC)
