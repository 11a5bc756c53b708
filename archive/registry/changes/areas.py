"""What the administrator changes about storage areas."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import PurePath
from typing import Any

from sqlalchemy import Connection, bindparam, select

from archive.database import dialects
from archive.database.prepared import Prepared
from archive.dicom.normal import EncodingOptions
from archive.errors import Misconfigured
from archive.registry import names, snapshot, steps
from archive.registry.changes.named import area_row
from archive.registry.model import Quota
from archive.registry.tables import ae_titles, storage_areas

# What of an area's settings says how data sets are written anew, by its name in EncodingOptions.
ENCODING_SETTINGS = {each.name: each.name for each in fields(EncodingOptions)} | {
    "transfer_syntax_uid": "written_transfer_syntax"
}


def add_area(connection: Connection, name: str, path: str, settings: Mapping[str, Any]) -> None:
    """A new storage area whose files lie in `path`: absolute, or relative to the data folder."""
    names.require_name(name, "an area")
    _require_apart(connection, path)
    _require_encoding(settings)
    values = {"name": name, "path": path, **settings}
    steps.insert_row(connection, storage_areas, values, taken=f"There is an area {name} already")
    _require_less_headroom_than_room(connection, name)
    steps.changed(connection, "add", "area", name, after=values)


def set_area(connection: Connection, name: str, settings: Mapping[str, Any]) -> None:
    """Change settings of an area: columns of storage_areas."""
    area = area_row(connection, name)
    if "path" in settings and settings["path"] != area.path:
        raise Misconfigured(
            "The path of an area cannot be changed by a setting: its rows name files there. "
            "Move the folder and put a symbolic link in its place",
            name=name,
        )
    _require_encoding(settings)
    steps.update_row(connection, storage_areas, area, settings)
    _require_less_headroom_than_room(connection, name)
    steps.changed(connection, "set", "area", name, before=steps.differing(area, settings), after=settings)


def remove_area(connection: Connection, name: str) -> None:
    """Remove an area that no title names; the caller has seen to it that it holds nothing."""
    area = area_row(connection, name)
    title = connection.scalar(select(ae_titles.c.title).where(ae_titles.c.area_pk == area.pk))
    if title is not None:
        raise Misconfigured(f"AE title {title} works in area {name}; run: archive ae remove {title}")
    steps.delete_row(
        connection, storage_areas, area, in_use=f"Area {name} still holds instances; remove its studies first"
    )
    steps.changed(connection, "remove", "area", name, before=area._asdict())


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


def _require_less_headroom_than_room(connection: Connection, name: str) -> None:
    """With as much headroom as room, housekeeping would leave nothing."""
    area = connection.execute(select(storage_areas).where(storage_areas.c.name == name)).one()
    if area.headroom_bytes is not None and area.max_bytes is not None and area.headroom_bytes >= area.max_bytes:
        raise Misconfigured(
            "The headroom is as large as the area may be; choose a smaller one",
            headroom_bytes=area.headroom_bytes,
            max_bytes=area.max_bytes,
        )


_limits = Prepared(lambda _: select(*snapshot.QUOTA_COLUMNS).where(storage_areas.c.pk == bindparam("area")))


def hold_area(connection: Connection, area_pk: int) -> Quota | None:
    """Until this transaction ends, nobody else holds the area or a share of it; its quota, None if it was removed.

    Stores go on where no quota decides them. Taken before any row is locked, but for rows of this registry.
    """
    dialects.hold_area(connection, area_pk)
    return _limits_of(connection, area_pk)


def share_area(connection: Connection, area_pk: int, shard: int) -> Quota | None:
    """Until this transaction ends, nobody holds the area, or a share of it in the name of this shard; its quota."""
    dialects.share_area(connection, area_pk, shard)
    return _limits_of(connection, area_pk)


def _limits_of(connection: Connection, area_pk: int) -> Quota | None:
    """Read by a statement of its own: one that waited for a lock sees the limits as they were before."""
    rows = _limits.run(connection, {"area": area_pk}).rows
    return snapshot.quota_of(rows[0]) if rows else None
