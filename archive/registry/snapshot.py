"""The administrator's rows as one immutable value, read again when their revision has moved.

An association takes one snapshot when it is requested and keeps it to its end: a rule never changes in the middle of
an association, and every change counts for the next.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, select

from archive.database import transaction
from archive.database.engine import Database
from archive.registry import tables


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
    evicts: bool = False
    """Whether what was stored to least recently makes room; else an instance that does not fit is refused."""

    @property
    def limits_holdings(self) -> bool:
        """Whether it depends on what the area holds if an instance fits."""
        return self.max_studies is not None or self.max_study_bytes is not None or self.max_bytes is not None

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

    def folder(self, data: Path) -> Path:
        """Where its files lie; a relative path lies in the data folder of the service."""
        return data / self.path


@dataclass(frozen=True, slots=True)
class Peer:
    """A remote application entity."""

    pk: int
    name: str
    ae_title: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may, or may not, do what at one of our titles."""

    pk: int
    allows: bool
    peer: Peer | None
    calling_ae_title: str | None
    network: str | None
    operations: frozenset[str]

    def __str__(self) -> str:
        verb = "allow" if self.allows else "deny"
        can = ",".join(operation for operation in tables.OPERATIONS if operation in self.operations)
        return f"rule {self.pk}: {verb} {self.who} {can}"

    @property
    def who(self) -> str:
        """Whom it speaks of, as on the command line."""
        if self.peer is not None:
            return f"--peer {self.peer.name}"
        title = "--any" if self.calling_ae_title is None else f"--title {self.calling_ae_title}"
        return title if self.network is None else f"{title} --from {self.network}"


@dataclass(frozen=True, slots=True)
class OwnTitle:
    """One of our AE titles: its area, what it is open for, and its rules."""

    title: str
    area: Area
    can_read: bool
    can_write: bool
    rules: tuple[Rule, ...]

    @property
    def access(self) -> str:
        """R, W or RW."""
        return "R" * self.can_read + "W" * self.can_write


@dataclass(frozen=True, slots=True)
class Registry:
    """All that the administrator decided, at one revision."""

    revision: int
    areas: Mapping[str, Area]
    titles: Mapping[str, OwnTitle]
    peers: Mapping[str, Peer]

    def destination(self, ae_title: str) -> Peer | None:
        """Where a C-MOVE to this title goes: the first peer with it, in the order they were added."""
        return next((peer for peer in self.peers.values() if peer.ae_title == ae_title), None)


def read_revision(connection: Connection) -> int:
    return connection.scalar(select(tables.registry_revision.c.revision)) or 0


def is_founded(connection: Connection) -> bool:
    """Whether the first area, title and rules have been made, whatever became of them."""
    return connection.scalar(select(tables.registry_revision.c.pk)) is not None


def read(connection: Connection) -> Registry:
    """The registry as this transaction sees it."""
    revision = read_revision(connection)
    areas = {row.pk: _area(row) for row in connection.execute(_ordered(tables.storage_areas))}
    peers = {
        row.pk: Peer(row.pk, row.name, row.ae_title, row.host, row.port)
        for row in connection.execute(_ordered(tables.peers))
    }
    rules: dict[int, list[Rule]] = {}
    for row in connection.execute(_ordered(tables.access_rules)):
        rules.setdefault(row.ae_title_pk, []).append(_rule(row, peers))
    titles = {
        row.title: OwnTitle(row.title, areas[row.area_pk], row.can_read, row.can_write, tuple(rules.get(row.pk, ())))
        for row in connection.execute(_ordered(tables.ae_titles))
    }
    return Registry(
        revision=revision,
        areas={area.name: area for area in areas.values()},
        titles=titles,
        peers={peer.name: peer for peer in peers.values()},
    )


def _ordered(table: tables.Table):
    return select(table).order_by(table.c.pk)


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
        quota=Quota(
            max_studies=row.max_studies,
            max_study_bytes=row.max_study_bytes,
            max_bytes=row.max_bytes,
            max_age_days=row.max_age_days,
            min_free_bytes=row.min_free_bytes,
            evicts=row.on_full == "evict",
        ),
    )


def _rule(row, peers: Mapping[int, Peer]) -> Rule:
    return Rule(
        pk=row.pk,
        allows=row.action == "allow",
        peer=peers.get(row.peer_pk),
        calling_ae_title=row.calling_ae_title,
        network=row.network,
        operations=frozenset(op for op in tables.OPERATIONS if getattr(row, f"can_{op}")),
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
