"""The administrator's rows as one immutable value, read again when their revision has moved.

An association takes one snapshot when it is requested and keeps it to its end: a rule never changes in the middle of
an association, and every change counts for the next.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Table, select

from archive.database import transaction
from archive.database.engine import Database
from archive.database.prepared import Prepared
from archive.dicom.normal import EncodingOptions, GroupLengths, SequenceLengths
from archive.errors import Misconfigured
from archive.registry import answering, networks, profile_rows, tables
from archive.registry.association_profiles import AssociationProfile
from archive.registry.model import (
    Area,
    Group,
    MovePolicy,
    NetworkRule,
    OwnTitle,
    Peer,
    Quota,
    Registry,
    Rule,
    TitlePolicy,
    User,
)

# In the order of the fields of Quota.
QUOTA_COLUMNS = tuple(
    tables.storage_areas.c[name]
    for name in (
        "max_studies",
        "max_study_bytes",
        "max_bytes",
        "max_age_days",
        "min_free_bytes",
        "headroom_bytes",
        "on_full",
    )
)


_revision = Prepared(lambda _: select(tables.registry_revision.c.revision))


def read_revision(connection: Connection) -> int:
    """Which registry this is: every change makes it another."""
    rows = _revision.run(connection, {}).rows
    return rows[0][0] if rows else 0


def is_founded(connection: Connection) -> bool:
    """Whether the first area, title and rules have been made, whatever became of them."""
    return connection.scalar(select(tables.registry_revision.c.pk)) is not None


def read(connection: Connection) -> Registry:
    """The registry as this transaction sees it; one of `transaction.read` sees all of it at one moment."""
    revision = read_revision(connection)
    profiles = profile_rows.assembled({table: _ordered(connection, table) for table in profile_rows.TABLES})
    areas = {row.pk: _area(row) for row in _ordered(connection, tables.storage_areas)}
    peers = {row.pk: _peer(row, profiles) for row in _ordered(connection, tables.peers)}
    groups = _groups(_ordered(connection, tables.peer_groups), _ordered(connection, tables.peer_group_members), peers)
    return Registry(
        revision=revision,
        areas={area.name: area for area in areas.values()},
        titles=_titles(connection, areas, peers, groups, profiles),
        peers={peer.name: peer for peer in peers.values()},
        groups={group.name: group for group in groups.values()},
        network_rules=tuple(
            NetworkRule(row.pk, row.action == "accept", networks.parse(row.clients))
            for row in sorted(_ordered(connection, tables.network_rules), key=lambda row: (row.position, row.pk))
        ),
        users={row.name: User(row.name, row.password_hash, row.disabled) for row in _ordered(connection, tables.users)},
        profiles={profile.name: profile for profile in profiles.values()},
    )


def _titles(
    connection: Connection,
    areas: Mapping[int, Area],
    peers: Mapping[int, Peer],
    groups: Mapping[int, Group],
    profiles: Mapping[int, AssociationProfile],
) -> dict[str, OwnTitle]:
    rules: dict[int, list[Rule]] = {}
    for row in _ordered(connection, tables.access_rules):
        rules.setdefault(row.ae_title_pk, []).append(_rule(row, peers, groups))
    listed: dict[int, list[Peer | Group]] = {}
    for row in _ordered(connection, tables.move_destinations):
        listed.setdefault(row.ae_title_pk, []).append(
            groups[row.group_pk] if row.peer_pk is None else peers[row.peer_pk]
        )
    return {
        row.title: OwnTitle(
            row.title,
            areas[row.area_pk],
            row.can_read,
            row.can_write,
            tuple(rules.get(row.pk, ())),
            _title_policy(row, tuple(listed.get(row.pk, ()))),
            row.requires_user,
            answering.read(row, profiles),
        )
        for row in _ordered(connection, tables.ae_titles)
    }


def settings_of_title(connection: Connection, title: str) -> dict[str, Any]:
    """Every setting of one of our titles by its column, with names for keys; raises Misconfigured."""
    titles, areas, profiles = tables.ae_titles, tables.storage_areas, tables.association_profiles
    statement = (
        select(titles, areas.c.name.label("area"), profiles.c.name.label("profile"))
        .join(areas, areas.c.pk == titles.c.area_pk)
        .join(profiles, profiles.c.pk == titles.c.profile_pk, isouter=True)
    )
    row = connection.execute(statement.where(titles.c.title == title)).one_or_none()
    if row is None:
        raise Misconfigured(f"There is no AE title of ours {title}; run: archive ae list")
    keys = tables.UNNOTED | {"area_pk", "profile_pk"}
    settings = {name: value for name, value in row._asdict().items() if name not in keys}
    return {"title": settings.pop("title"), "area": settings.pop("area")} | settings


def settings_of_area(connection: Connection, name: str) -> dict[str, Any]:
    """Every setting of an area by its column; raises Misconfigured."""
    areas = tables.storage_areas
    row = connection.execute(select(areas).where(areas.c.name == name)).one_or_none()
    if row is None:
        raise Misconfigured(f"There is no area {name}; run: archive area list")
    return {column: value for column, value in row._asdict().items() if column not in tables.UNNOTED}


def _ordered(connection: Connection, table: Table) -> Sequence[Row[Any]]:
    return connection.execute(select(table).order_by(table.c.pk)).all()


def _area(row) -> Area:
    return Area(
        pk=row.pk,
        name=row.name,
        path=row.path,
        durable=row.durability == "full",
        duplicates=row.duplicates,
        accept_unknown_sop_classes=row.accept_unknown_sop_classes,
        strict_names=row.strict_names,
        answer_limit=row.answer_limit,
        retrieve_limit=row.retrieve_limit,
        quota=quota_of([getattr(row, column.name) for column in QUOTA_COLUMNS]),
        normalises=row.writing == "normalised",
        encoding=_encoding(row),
        discards=row.discards,
    )


def _encoding(row) -> EncodingOptions:
    return EncodingOptions(
        transfer_syntax_uid=row.written_transfer_syntax,
        group_lengths=GroupLengths(row.group_lengths),
        sequence_lengths=SequenceLengths(row.sequence_lengths),
        file_padding_bytes=row.file_padding_bytes,
        item_padding_bytes=row.item_padding_bytes,
        old_vrs_only=row.old_vrs_only,
        converts_un=row.converts_un,
        deflate_level=row.deflate_level,
    )


def quota_of(values: Sequence[Any]) -> Quota:
    """The quota in these values of QUOTA_COLUMNS."""
    *limits, on_full = values
    return Quota(*limits, evicts=on_full == "evict")


def _peer(row, profiles: Mapping[int, AssociationProfile]) -> Peer:
    return Peer(
        pk=row.pk,
        name=row.name,
        ae_title=row.ae_title,
        host=row.host,
        port=row.port,
        uses_tls=row.uses_tls,
        checks_host=row.checks_host,
        certificate=row.certificate,
        proposes=row.proposes,
        profile=None if row.profile_pk is None else profiles[row.profile_pk],
    )


def _groups(rows: Sequence[Row[Any]], members: Sequence[Row[Any]], peers: Mapping[int, Peer]) -> dict[int, Group]:
    """The groups by key, each with all peers that are in it."""
    within: dict[int, list[Row[Any]]] = {}
    for member in members:
        within.setdefault(member.group_pk, []).append(member)
    names = {row.pk: row.name for row in rows}

    def peers_in(group_pk: int, seen: set[int]) -> Iterator[Peer]:
        if group_pk in seen:
            return
        seen.add(group_pk)
        for member in within.get(group_pk, ()):
            if member.peer_pk is not None:
                yield peers[member.peer_pk]
            else:
                yield from peers_in(member.member_group_pk, seen)

    return {
        row.pk: Group(
            pk=row.pk,
            name=row.name,
            is_vendor=row.kind == "vendor",
            members=tuple(
                names[member.member_group_pk] if member.peer_pk is None else peers[member.peer_pk].name
                for member in within.get(row.pk, ())
            ),
            peers=tuple(dict.fromkeys(peers_in(row.pk, set()))),
        )
        for row in rows
    }


def _title_policy(row, listed: tuple[Peer | Group, ...]) -> TitlePolicy:
    return TitlePolicy(
        moves=MovePolicy(
            to_same_title=row.moves_to_same_title,
            to_same_host=row.moves_to_same_host,
            to_same_vendor=row.moves_to_same_vendor,
            to_listed=row.moves_to_listed,
            listed=listed,
        ),
        allows_get=row.allows_get,
        allows_patient_root=row.allows_patient_root,
        allows_study_root=row.allows_study_root,
        allows_patient_study_only=row.allows_patient_study_only,
        requires_find=row.requires_find,
        allows_parallel_store=row.allows_parallel_store,
        refuses=row.refuses,
        requires_implementation_uid=row.requires_implementation_uid,
        max_associations=row.max_associations,
        max_associations_per_caller=row.max_associations_per_caller,
    )


def _rule(row, peers: Mapping[int, Peer], groups: Mapping[int, Group]) -> Rule:
    return Rule(
        pk=row.pk,
        allows=row.action == "allow",
        peer=None if row.peer_pk is None else peers[row.peer_pk],
        calling_ae_title=row.calling_ae_title,
        network=row.network,
        operations=frozenset(op for op in tables.RULED if getattr(row, f"can_{op}")),
        group=None if row.group_pk is None else groups[row.group_pk],
    )


class RegistryReader:
    """The newest registry, at the price of one small query; safe to use from many threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held: Registry | None = None

    def current(self) -> Registry:
        """The registry as committed now; raises DatabaseFailed."""
        held = self._held
        with transaction.read(self._database) as connection:
            if held is not None and read_revision(connection) == held.revision:
                return held
            self._held = held = read(connection)
        return held
