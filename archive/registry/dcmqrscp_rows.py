"""What a dcmqrscp.cfg means as rows: areas, AE titles, peers, groups, vendors, and who may enter where; pure.

A storage folder becomes one area, with the quota of its first row; a line of the host table with one peer becomes that
peer, any other a group. Peers come in the order in which dcmqrscp looks for a move destination. What dcmqrscp can say
and this archive cannot is left out, and there is a notice.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archive.errors import Misconfigured
from archive.registry import names
from archive.registry.dcmqrscp_config import ApplicationEntity, DcmqrscpConfig, Entry, Members
from archive.registry.dcmqrscp_config import Peer as ConfiguredPeer
from archive.registry.notices import Notice

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")
_NOT_IN_GROUP_NAMES = re.compile(r"[^A-Za-z0-9._ -]+")
_MOST_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class AreaRow:
    """A storage area, and the columns that the file sets."""

    name: str
    path: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TitleRow:
    """One of our AE titles."""

    title: str
    area: str
    access: str
    callers: tuple[str, ...] | None
    """Peers and groups by name that may enter; None is anybody."""


@dataclass(frozen=True, slots=True)
class PeerRow:
    """A remote application entity; without a port it only calls."""

    name: str
    ae_title: str
    host: str
    port: int | None


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group or vendor; members are names."""

    name: str
    is_vendor: bool
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Site:
    """All rows that the file asks for, each list in the order in which it can be made."""

    areas: tuple[AreaRow, ...]
    titles: tuple[TitleRow, ...]
    peers: tuple[PeerRow, ...]
    groups: tuple[GroupRow, ...]
    notices: tuple[Notice, ...]


def site(config: DcmqrscpConfig, folder: Path) -> Site:
    """The rows for a configuration; relative storage areas lie in `folder`, where dcmqrscp would be started."""
    return _Translation(config, folder).result()


@dataclass(slots=True)
class _Names:
    """One space of names: each thing gets the name it asks for, or one like it that is free and allowed."""

    taken: set[str] = field(default_factory=set)

    def give(self, wanted: str, forbidden: re.Pattern[str] = _NOT_IN_NAMES) -> str:
        base = forbidden.sub("-", wanted).strip("._- ")[:_MOST_CHARACTERS].rstrip() or "unnamed"
        name, number = base, 1
        while name in self.taken:
            number += 1
            suffix = f"-{number}"
            name = base[: _MOST_CHARACTERS - len(suffix)] + suffix
        self.taken.add(name)
        return name


class _Translation:
    """One configuration on its way to rows."""

    def __init__(self, config: DcmqrscpConfig, folder: Path) -> None:
        self._config = config
        self._folder = folder
        self._notices: list[Notice] = []
        self._given = _Names()  # to peers, groups and vendors
        self._peers: dict[ConfiguredPeer, PeerRow | None] = {}  # None: it cannot be a peer here
        self._names: dict[str, str] = {}  # of the host table: symbolic name -> ours

    def result(self) -> Site:
        wanted = self._wanted_names()
        for peer in self._destinations():
            self._add_peer(peer, wanted.get(peer, peer.ae_title), peer.port or None)
        for peer in self._written(entry.members for entry in self._config.vendors):
            if peer not in self._peers:
                self._add_peer(peer, peer.ae_title, None)
                self._say(f"{peer.ae_title} is in the vendor table only: as for dcmqrscp, no C-MOVE goes to it")
        groups = [*self._groups(), *self._vendors()]
        areas, titles = self._areas_and_titles()
        known = tuple(peer for peer in self._peers.values() if peer is not None)
        return Site(tuple(areas), tuple(titles), known, tuple(groups), tuple(self._notices))

    def _say(self, text: str) -> None:
        self._notices.append(Notice(0, text))

    # Peers

    def _wanted_names(self) -> dict[ConfiguredPeer, str]:
        """The names of the host table for single peers."""
        wanted: dict[ConfiguredPeer, str] = {}
        for entry in self._config.hosts:
            if len(entry.members) == 1 and isinstance(entry.members[0], ConfiguredPeer):
                wanted.setdefault(entry.members[0], entry.name)
        return wanted

    def _destinations(self) -> Iterable[ConfiguredPeer]:
        """The peers that a C-MOVE may go to, in the order in which they are looked for."""
        members = [entity.peers for entity in self._config.application_entities]
        return self._written(members + [entry.members for entry in self._config.hosts])

    def _written(self, members: Iterable[Members | None]) -> Iterable[ConfiguredPeer]:
        return dict.fromkeys(peer for each in members for peer in self._config.peers(each))

    def _add_peer(self, peer: ConfiguredPeer, wanted: str, port: int | None) -> None:
        try:
            names.require_ae_title(peer.ae_title)
            names.require_host(peer.host)
        except Misconfigured as error:
            self._say(f"({peer.ae_title}, {peer.host}, {peer.port}) is left out: {error}")
            self._peers[peer] = None
            return
        place = (peer.ae_title, peer.host, port)
        alike = next((row for row in self._peers.values() if row and (row.ae_title, row.host, row.port) == place), None)
        self._peers[peer] = alike or PeerRow(self._given.give(wanted), *place)

    # Groups

    def _groups(self) -> Iterable[GroupRow]:
        defined: set[str] = set()
        for entry in self._config.hosts:
            if entry.name in defined:
                continue  # the first definition counts
            defined.add(entry.name)
            only = entry.members[0] if len(entry.members) == 1 else None
            if isinstance(only, ConfiguredPeer) and (row := self._peers[only]) is not None:
                self._names[entry.name] = row.name
            else:
                yield self._group(entry, is_vendor=False)

    def _vendors(self) -> Iterable[GroupRow]:
        merged: dict[str, list[ConfiguredPeer | str]] = {}
        for entry in self._config.vendors:
            merged.setdefault(entry.name, []).extend(entry.members)
        for name, members in merged.items():
            yield self._group(Entry(name, tuple(members)), is_vendor=True)

    def _group(self, entry: Entry, *, is_vendor: bool) -> GroupRow:
        name = self._given.give(entry.name, _NOT_IN_GROUP_NAMES)
        if name != entry.name:
            self._say(f"{entry.name} is called {name} here: names of peers, groups and vendors differ from each other")
        members = self._named(entry.members)
        if not is_vendor:
            self._names[entry.name] = name
        return GroupRow(name, is_vendor, members)

    def _named(self, members: Members) -> tuple[str, ...]:
        """Members by the names that they have here; those that cannot be peers are left out."""
        found: dict[str, None] = {}
        for member in members:
            if isinstance(member, str):
                found[self._names[member]] = None
            elif (row := self._peers[member]) is not None:
                found[row.name] = None
        return tuple(found)

    # Areas and titles

    def _areas_and_titles(self) -> tuple[list[AreaRow], list[TitleRow]]:
        areas: dict[str, AreaRow] = {}
        titles: dict[str, TitleRow] = {}
        given = _Names()
        for entity in self._config.application_entities:
            path = str(self._folder / entity.storage_area)
            quota = _quota(entity)
            area = areas.get(path)
            if area is None:
                area = areas[path] = AreaRow(given.give(entity.ae_title), path, quota)
            elif dict(area.settings) != quota:
                self._say(f"{entity.ae_title} shares the area of {area.name}: the quota of {area.name} counts")
            self._add_title(entity, area, titles)
        used = {title.area for title in titles.values()}
        return [area for area in areas.values() if area.name in used], list(titles.values())

    def _add_title(self, entity: ApplicationEntity, area: AreaRow, titles: dict[str, TitleRow]) -> None:
        try:
            names.require_ae_title(entity.ae_title)
        except Misconfigured as error:
            self._say(f"{entity.ae_title} is left out: {error}")
            return
        callers = None if entity.peers is None else self._named(entity.peers)
        held = titles.get(entity.ae_title)
        if held is None:
            titles[entity.ae_title] = TitleRow(entity.ae_title, area.name, _access(entity), callers)
            return
        # Rows with a title that is there already add their peers, and nothing else.
        both = None if held.callers is None or callers is None else tuple(dict.fromkeys((*held.callers, *callers)))
        titles[entity.ae_title] = TitleRow(held.title, held.area, held.access, both)


def _quota(entity: ApplicationEntity) -> dict[str, Any]:
    """The limits of the file, without dcmqrscp's own, and its way to make room."""
    quota = entity.quota
    return {"max_studies": quota.max_studies, "max_study_bytes": quota.max_study_bytes, "on_full": "evict"}


def _access(entity: ApplicationEntity) -> str:
    return "R" * (entity.is_readable or not entity.is_writable) + "W" * entity.is_writable
