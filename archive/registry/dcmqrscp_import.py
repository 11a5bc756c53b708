"""Bring the registry in line with the rows that a dcmqrscp.cfg asks for, inside the caller's transaction.

Running it again changes nothing. What the registry has beside the file stays, unless the file is the whole truth.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, Connection, select

from archive.errors import Misconfigured
from archive.registry import changes, groups, snapshot
from archive.registry.dcmqrscp_rows import GroupRow, PeerRow, Site, TitleRow
from archive.registry.model import Area, OwnTitle, Peer, Rule
from archive.registry.steps import one_at_a_time
from archive.registry.tables import OPERATIONS, ae_titles, peers, storage_areas


@dataclass(frozen=True, slots=True)
class Policies:
    """Columns that every area, every AE title and every peer gets beside those of the file."""

    areas: Mapping[str, Any] = field(default_factory=dict)
    titles: Mapping[str, Any] = field(default_factory=dict)
    peers: Mapping[str, Any] = field(default_factory=dict)
    operations: tuple[str, ...] = OPERATIONS
    """What those may do whom the file names."""


def bring(
    connection: Connection, site: Site, policies: Policies | None = None, *, is_whole_truth: bool = False
) -> list[str]:
    """Make, change and, where the file is the whole truth, remove rows; returns a sentence for each change.

    Raises Misconfigured where something of the same name is there already and cannot become what the file says.
    """
    return list(_Import(connection, site, policies or Policies(), is_whole_truth=is_whole_truth).run())


class _Import:
    def __init__(self, connection: Connection, site: Site, policies: Policies, *, is_whole_truth: bool) -> None:
        self._connection = connection
        self._site = site
        self._policies = policies
        self._is_whole_truth = is_whole_truth
        one_at_a_time(connection)  # so that what is read here is still so when it is changed
        self._before = snapshot.read(connection)
        self._names: dict[str, str] = {}  # of peers: as the file has them -> as they are held

    def run(self) -> Iterator[str]:
        if self._is_whole_truth:
            yield from self._remove_others()
        for peer in self._site.peers:
            yield from self._peer(peer)
        for group in self._site.groups:
            yield from self._group(group)
        areas = {}
        for area in self._site.areas:
            held = self._area_at(area.path)
            areas[area.name] = area.name if held is None else held.name
            yield from self._area(area.name, held, area.path, {**area.settings, **self._policies.areas})
        for title in self._site.titles:
            yield from self._title(title, areas[title.area])

    # What is not in the file.

    def _remove_others(self) -> Iterator[str]:
        wanted = {title.title for title in self._site.titles}
        for title in self._before.titles.keys() - wanted:
            changes.remove_title(self._connection, title)
            yield f"AE title {title} is removed"
        kinds = {group.name: group.is_vendor for group in self._site.groups}
        for group in self._before.groups.values():
            if kinds.get(group.name) is not group.is_vendor:
                groups.remove_group(self._connection, group.name)
                yield f"{'vendor' if group.is_vendor else 'group'} {group.name} is removed"
        keys = {_key(peer) for peer in self._site.peers}
        for peer in self._before.peers.values():
            if _key(peer) not in keys or peer.name in kinds:  # a name that is now a group's
                changes.remove_peer(self._connection, peer.name)
                yield f"peer {peer.name} is removed"
        self._before = snapshot.read(self._connection)

    # Peers and groups.

    def _peer(self, wanted: PeerRow) -> Iterator[str]:
        settings = dict(self._policies.peers)
        alike = next((peer for peer in self._before.peers.values() if _key(peer) == _key(wanted)), None)
        if alike is not None:
            self._names[wanted.name] = alike.name
            if different := self._different(peers.c.name, alike.name, settings):
                changes.set_peer(self._connection, alike.name, different)
                yield f"peer {alike.name}: {_said(different)}"
            return
        self._names[wanted.name] = wanted.name
        if wanted.name in self._before.peers:
            place = {"ae_title": wanted.ae_title, "host": wanted.host, "port": wanted.port}
            changes.set_peer(self._connection, wanted.name, place | settings)
            yield f"peer {wanted.name} becomes {_place(wanted)}"
            return
        changes.add_peer(self._connection, wanted.name, wanted.ae_title, wanted.host, wanted.port, settings)
        yield f"peer {wanted.name} is {_place(wanted)}"

    def _group(self, wanted: GroupRow) -> Iterator[str]:
        kind = "vendor" if wanted.is_vendor else "group"
        members = [self._names.get(member, member) for member in wanted.members]
        held = self._before.groups.get(wanted.name)
        if held is None:
            groups.add_group(self._connection, wanted.name, members, is_vendor=wanted.is_vendor)
            yield f"{kind} {wanted.name} has {', '.join(members) or 'nobody'}"
            return
        if held.is_vendor != wanted.is_vendor:
            raise Misconfigured(f"{wanted.name} is a {kind} in the file and the other of both here; rename one of them")
        if missing := [member for member in members if member not in held.members]:
            groups.set_group(self._connection, wanted.name, add=missing)
            yield f"{kind} {wanted.name} has {', '.join(missing)} too"
        surplus = [member for member in held.members if member not in members]
        if surplus and self._is_whole_truth:
            groups.set_group(self._connection, wanted.name, remove=surplus)
            yield f"{kind} {wanted.name} has no longer {', '.join(surplus)}"

    # Areas, titles and rules.

    def _area_at(self, path: str) -> Area | None:
        return next((area for area in self._before.areas.values() if area.path == path), None)

    def _area(self, name: str, held: Area | None, path: str, settings: Mapping[str, Any]) -> Iterator[str]:
        if held is None:
            if name in self._before.areas:
                raise Misconfigured(
                    f"There is an area {name} already, in another folder; remove it, or rename the title in the file",
                    path=path,
                )
            changes.add_area(self._connection, name, path, settings)
            yield f"area {name} keeps its files in {path}: {_said(settings)}"
            return
        if different := self._different(storage_areas.c.name, held.name, settings):
            changes.set_area(self._connection, held.name, different)
            yield f"area {held.name}: {_said(different)}"

    def _title(self, wanted: TitleRow, area: str) -> Iterator[str]:
        settings = dict(self._policies.titles)
        held = self._before.titles.get(wanted.title)
        if held is None:
            changes.add_title(self._connection, wanted.title, area, wanted.access, settings)
            yield f"AE title {wanted.title} works in area {area} ({wanted.access})"
        else:
            different = self._different(ae_titles.c.title, wanted.title, settings)
            different |= {"area": area} if held.area.name != area else {}
            different |= {"access": wanted.access} if held.access != wanted.access else {}
            if different:
                changes.set_title(self._connection, wanted.title, different)
                yield f"AE title {wanted.title}: {_said(different)}"
        yield from self._rules(wanted, held)

    def _is_of_the_file(self, rule: Rule) -> bool:
        """Whether a rule is one as the file has them: everything is allowed, from anywhere; no more if it is all."""
        wanted = frozenset(self._policies.operations)
        is_plain = rule.allows and rule.network is None and rule.calling_ae_title is None
        return is_plain and (rule.operations == wanted if self._is_whole_truth else rule.operations >= wanted)

    def _different(self, column: Column[Any], name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings of one row that are not as they are to be."""
        row = self._connection.execute(select(column.table).where(column == name)).one()._asdict()
        return {setting: value for setting, value in settings.items() if row[setting] != value}

    def _rules(self, wanted: TitleRow, held: OwnTitle | None) -> Iterator[str]:
        """The callers of the file are allowed everything; a rule that says something else is none of the file's."""
        callers = (None,) if wanted.callers is None else tuple(self._names.get(name, name) for name in wanted.callers)
        there: set[str | None] = set()
        for rule in held.rules if held else ():
            if self._is_of_the_file(rule) and _caller(rule) in callers:
                there.add(_caller(rule))
            elif self._is_whole_truth:
                changes.remove_rule(self._connection, rule.pk)
                yield f"at {wanted.title}: {rule} is removed"
        operations = self._policies.operations
        kinds = {group.name: "vendor" if group.is_vendor else "group" for group in self._site.groups}
        for caller in callers:
            if caller in there:
                continue
            if caller is None:
                changes.add_rule(self._connection, wanted.title, allows=True, operations=operations)
                yield f"at {wanted.title}: anybody is allowed"
            else:
                kind = kinds.get(caller, "peer")
                changes.add_rule(self._connection, wanted.title, allows=True, operations=operations, **{kind: caller})
                yield f"at {wanted.title}: {kind} {caller} is allowed"


def _caller(rule: Rule) -> str | None:
    """Whom a rule speaks of by name; None is anybody."""
    if rule.peer is not None:
        return rule.peer.name
    return None if rule.group is None else rule.group.name


def _key(peer: Peer | PeerRow) -> tuple[str, str, int | None]:
    return peer.ae_title, peer.host, peer.port


def _place(peer: PeerRow) -> str:
    where = f"{peer.ae_title} at {peer.host}"
    return f"{where}, which only calls" if peer.port is None else f"{where} port {peer.port}"


def _said(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {'none' if value is None else value}" for name, value in settings.items())
