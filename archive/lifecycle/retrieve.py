"""What a query finds and what a retrieve hands out; every question is one short transaction of its own."""

from array import array
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from archive.database import transaction
from archive.database.engine import Database
from archive.dicom.attributes import Level
from archive.errors import UnreadableFile
from archive.index import locate, select, unfiled
from archive.index.locate import Location
from archive.index.select import Found
from archive.query.model import Query
from archive.registry.model import Area
from archive.storage.local import LocalArea


class Holdings:
    """What the archive holds, for reading."""

    def __init__(self, database: Database, data: Path) -> None:
        self._database = database
        self._data = data

    def matching(self, query: Query, area: Area, limit: int | None = None) -> "array[int]":
        """The primary keys of the entities that match; at most `limit`."""
        with transaction.read(self._database) as connection:
            return select.matching(connection, query, area.pk, limit)

    def find(self, query: Query, area: Area, wanted: Sequence[Any], *, limit: int | None, first: int) -> Found:
        """The same, and of the same moment what is held about the `first` of them, at most so many.

        Most queries are answered by that; the others go on with `answers`.
        """
        find_few = select.few(query, area.pk, wanted, first)
        if find_few is not None:
            with transaction.read_once(self._database) as connection:
                found = find_few(connection)
            if found is not None:
                return found
        with transaction.read(self._database) as connection:
            pks = select.matching(connection, query, area.pk, limit)
            return Found(pks, select.answers(connection, query.level, wanted, pks[:first]) if pks else [])

    def answers(self, level: Level, wanted: Sequence[Any], pks: Sequence[int]) -> list[tuple[Any, ...]]:
        """What is held about these entities; see `index.select.answers`."""
        with transaction.read(self._database) as connection:
            return select.answers(connection, level, wanted, pks)

    def locate(self, query: Query, area: Area, limit: int | None = None) -> list[Location]:
        """Every instance that a retrieve asks for, as of now; at most `limit`."""
        with transaction.read(self._database) as connection:
            return locate.locate(connection, query, area.pk, limit)

    def open(self, area: Area, location: Location) -> BinaryIO:
        """The stored data set, without its File Meta Information; raises UnreadableFile."""
        stream = self._unfiled(area, location) if location.path is None else self._file(area, location.path)
        stream.seek(location.data_set_offset)
        return stream

    def _file(self, area: Area, path: str) -> BinaryIO:
        return LocalArea(area.folder(self._data)).open(path)

    def _unfiled(self, area: Area, location: Location) -> BinaryIO:
        """From the database, or from the file that was made since the instance was looked for."""
        with transaction.read(self._database) as connection:
            now = unfiled.find(connection, location.pk, location.sop_instance_uid)
        if now is None:
            raise UnreadableFile("The instance was removed meanwhile", uid=location.sop_instance_uid)
        if now.content is not None:
            return BytesIO(now.content)
        if now.path is None:
            raise UnreadableFile("The instance has neither file nor bytes", uid=location.sop_instance_uid)
        return self._file(area, now.path)
