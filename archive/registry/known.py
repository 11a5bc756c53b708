"""The names that the administrator gave to things, and nothing else of them: for whoever completes what is typed."""

from collections.abc import Iterable

from sqlalchemy import Connection, Select, func, select

from archive.registry.tables import ae_titles, association_profiles, peer_groups, peers, storage_areas, users

# Each kind of thing, and where its names are.
KINDS: dict[str, Select[tuple[str]]] = {
    "area": select(storage_areas.c.name.label("name")),
    "ae_title": select(ae_titles.c.title.label("name")),
    "peer": select(peers.c.name.label("name")),
    "peer_title": select(peers.c.ae_title.label("name")),
    "group": select(peer_groups.c.name.label("name")).where(peer_groups.c.kind == "group"),
    "vendor": select(peer_groups.c.name.label("name")).where(peer_groups.c.kind == "vendor"),
    "user": select(users.c.name.label("name")),
    "profile": select(association_profiles.c.name.label("name")),
}


def names(connection: Connection, kinds: Iterable[str], start: str, most: int) -> list[str]:
    """The first names, in order and each once, of things of these kinds that begin with `start`, case by case."""
    found: set[str] = set()
    for kind in kinds:
        named = KINDS[kind].subquery()
        begins = func.substr(named.c.name, 1, len(start)) == start
        found |= set(connection.scalars(select(named.c.name).where(begins).order_by(named.c.name).limit(most)))
    return sorted(found)[:most]
