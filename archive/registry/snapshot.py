"""The administrator's rows as one immutable value, read again when their revision has moved.

An association takes one snapshot when it is requested and keeps it to its end: a rule never changes in the middle of
an association, and every change counts for the next.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from sqlalchemy import Connection, Row, Table, select

from archive.database import transaction
from archive.database.engine import Database
from archive.dicom import uids
from archive.dicom.normal import AS_DCMTK, EncodingOptions, GroupLengths, SequenceLengths
from archive.errors import Misconfigured
from archive.registry import answering, networks, profile_rows, tables
from archive.registry.answering import AS_THE_SERVICE, Answering
from archive.registry.association_profiles import AssociationProfile
from archive.registry.networks import Clients

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


@dataclass(frozen=True, slots=True)
class Quota:
    """How much an area may hold; None is no limit. Bytes are those of files, File Meta Information included."""

    max_studies: int | None = None
    max_study_bytes: int | None = None
    max_bytes: int | None = None
    max_age_days: int | None = None
    """Days since a study was last stored to."""
    min_free_bytes: int | None = None
    """What is to stay free on the disk of the area."""
    headroom_bytes: int | None = None
    """What housekeeping keeps free below `max_bytes` and above `min_free_bytes`, where the area evicts."""
    evicts: bool = False
    """Whether what was stored to least recently makes room; else an instance that does not fit is refused."""

    @property
    def limits_holdings(self) -> bool:
        """Whether it depends on what the area holds if an instance fits."""
        return self.max_studies is not None or self.max_study_bytes is not None or self.max_bytes is not None

    @property
    def decides_stores(self) -> bool:
        """Whether a store has to ask if the instance fits."""
        return self.limits_holdings or self.min_free_bytes is not None

    @property
    def picks_studies(self) -> bool:
        """Whether studies of the area may be evicted."""
        return self.evicts or self.max_age_days is not None


@dataclass(frozen=True, slots=True)
class Area:
    """A storage area and its policies."""

    pk: int
    name: str
    path: str
    durable: bool
    duplicates: str
    accept_unknown_sop_classes: bool
    strict_names: bool
    answer_limit: int | None
    quota: Quota = Quota()
    normalises: bool = False
    """Whether data sets are written anew, as `encoding` says; else they are kept byte for byte."""
    encoding: EncodingOptions = AS_DCMTK
    discards: bool = False
    """Whether what is stored is answered with Success and not kept."""
    retrieve_limit: int | None = None

    def folder(self, data: Path) -> Path:
        """Where its files lie; a relative path lies in the data folder of the service."""
        return data / self.path

    def takes(self, sop_class_uid: str) -> bool:
        """Whether instances of this class can lie here: storage classes, and unknown ones where they are taken in."""
        if sop_class_uid in uids.STORAGE_SOP_CLASSES:
            return True
        known_other = sop_class_uid in uids.KNOWN_OTHER or sop_class_uid == uids.DCMTK_SHUTDOWN
        return self.accept_unknown_sop_classes and not known_other


@dataclass(frozen=True, slots=True)
class Peer:
    """A remote application entity."""

    pk: int
    name: str
    ae_title: str
    host: str
    """An address or a host name; a network in CIDR notation where it only calls."""
    port: int | None
    """None: it only calls."""
    uses_tls: bool = False
    checks_host: bool = True
    """In TLS, its certificate must have been made for its host."""
    certificate: str | None = None
    """Without this certificate nobody may use its title; see `certificates`."""
    proposes: str | None = None
    """Transfer syntaxes of all that is sent to it: a key of `transfer_syntax_presets.PROPOSE`; None: as stored."""
    profile: AssociationProfile | None = None
    """Replaces `proposes`: what is proposed to it, whatever is sent."""


@dataclass(frozen=True, slots=True)
class Group:
    """Peers under one name."""

    pk: int
    name: str
    is_vendor: bool
    members: tuple[str, ...]
    """The names of peers and groups that were put into it."""
    peers: tuple[Peer, ...]
    """All peers in it, those of groups in it included, each once."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may, or may not, do what at one of our titles."""

    pk: int
    allows: bool
    peer: Peer | None
    calling_ae_title: str | None
    network: str | None
    operations: frozenset[str]
    group: Group | None = None

    def __str__(self) -> str:
        verb = "allow" if self.allows else "deny"
        can = ",".join(operation for operation in tables.RULED if operation in self.operations)
        return f"rule {self.pk}: {verb} {self.who} {can}"

    @property
    def who(self) -> str:
        """Whom it speaks of, as on the command line."""
        if self.peer is not None:
            return f"--peer {self.peer.name}"
        if self.group is not None:
            return f"--{'vendor' if self.group.is_vendor else 'group'} {quote(self.group.name)}"
        title = "--any" if self.calling_ae_title is None else f"--title {self.calling_ae_title}"
        return title if self.network is None else f"{title} --from {self.network}"


@dataclass(frozen=True, slots=True)
class MovePolicy:
    """Where a C-MOVE may go: all that is true must hold; nothing true is anywhere."""

    to_same_title: bool = False
    """The destination is the calling AE title."""
    to_same_host: bool = False
    """The destination is at the address that calls."""
    to_same_vendor: bool = False
    """One vendor has the calling AE title and that of the destination."""
    to_listed: bool = False
    """The destination is in the list, itself or by a group."""
    listed: tuple[Peer | Group, ...] = ()


@dataclass(frozen=True, slots=True)
class TitlePolicy:
    """What associations at a title are held to, whoever calls."""

    moves: MovePolicy = MovePolicy()
    allows_get: bool = True
    allows_patient_root: bool = True
    allows_study_root: bool = True
    allows_patient_study_only: bool = True
    requires_find: bool = False
    """C-MOVE and C-GET of a model only beside an accepted C-FIND of it."""
    allows_parallel_store: bool = True
    """Whether an association may store while another at this title may."""
    refuses: bool = False
    """Every association."""
    requires_implementation_uid: bool = False
    max_associations: int | None = None
    """At a time, over all workers of a service; None is no limit but that of the service."""
    max_associations_per_caller: int | None = None
    """Of one calling AE title."""


@dataclass(frozen=True, slots=True)
class OwnTitle:
    """One of our AE titles: its area, what it is open for, its rules, and what it holds associations to."""

    title: str
    area: Area
    can_read: bool
    can_write: bool
    rules: tuple[Rule, ...]
    policy: TitlePolicy = TitlePolicy()
    requires_user: bool = False
    """Callers must prove to be a user."""
    answering: Answering = AS_THE_SERVICE

    @property
    def access(self) -> str:
        """R, W or RW."""
        return "R" * self.can_read + "W" * self.can_write


@dataclass(frozen=True, slots=True)
class NetworkRule:
    """Whose connections are accepted, or closed before anything is read of them."""

    pk: int
    accepts: bool
    clients: Clients

    def __str__(self) -> str:
        return f"network rule {self.pk}: {'allow' if self.accepts else 'deny'} {self.clients}"


@dataclass(frozen=True, slots=True)
class User:
    """Who may prove itself by User Identity negotiation (PS3.7 D.3.3.7)."""

    name: str
    password_hash: str | None = field(repr=False)
    """None: the name alone is enough."""
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Registry:
    """All that the administrator decided, at one revision."""

    revision: int
    areas: Mapping[str, Area]
    titles: Mapping[str, OwnTitle]
    peers: Mapping[str, Peer]
    groups: Mapping[str, Group] = field(default_factory=dict)
    network_rules: tuple[NetworkRule, ...] = ()
    """In the order in which they are asked."""
    users: Mapping[str, User] = field(default_factory=dict)
    profiles: Mapping[str, AssociationProfile] = field(default_factory=dict)


def read_revision(connection: Connection) -> int:
    return connection.scalar(select(tables.registry_revision.c.revision)) or 0


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
    rules: dict[int, list[Rule]] = {}
    for row in _ordered(connection, tables.access_rules):
        rules.setdefault(row.ae_title_pk, []).append(_rule(row, peers, groups))
    listed: dict[int, list[Peer | Group]] = {}
    for row in _ordered(connection, tables.move_destinations):
        listed.setdefault(row.ae_title_pk, []).append(
            groups[row.group_pk] if row.peer_pk is None else peers[row.peer_pk]
        )
    titles = {
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
    return Registry(
        revision=revision,
        areas={area.name: area for area in areas.values()},
        titles=titles,
        peers={peer.name: peer for peer in peers.values()},
        groups={group.name: group for group in groups.values()},
        network_rules=tuple(
            NetworkRule(row.pk, row.action == "accept", networks.parse(row.clients))
            for row in sorted(_ordered(connection, tables.network_rules), key=lambda row: (row.position, row.pk))
        ),
        users={row.name: User(row.name, row.password_hash, row.disabled) for row in _ordered(connection, tables.users)},
        profiles={profile.name: profile for profile in profiles.values()},
    )


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
