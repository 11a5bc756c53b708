"""Where the instances lie that a retrieve asks for, or that somebody brings again."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from archive.database import dialects
from archive.dicom.attributes import Level
from archive.index.matching import matching_statement
from archive.index.tables import instances
from archive.query.model import Query


@dataclass(frozen=True, slots=True)
class Location:
    """One stored instance: what it is and where its bytes are."""

    pk: int
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    path: str | None
    """Its file; None if it had none yet when it was looked for."""
    size_bytes: int
    data_set_offset: int


_COLUMNS = (
    instances.c.pk,
    instances.c.sop_class_uid,
    instances.c.sop_instance_uid,
    instances.c.transfer_syntax_uid,
    instances.c.path,
    instances.c.size_bytes,
    instances.c.data_set_offset,
)


def locate(connection: Connection, query: Query, area_pk: int, limit: int | None = None) -> list[Location]:
    """Every instance at or below the entities that match, in the order they arrived; at most `limit`."""
    matching = matching_statement(connection.dialect.name, query, area_pk, Level.IMAGE)
    statement = matching.with_only_columns(*_COLUMNS, maintain_column_froms=True).order_by(instances.c.pk)
    statement = statement.limit(limit)
    return [Location(*row) for row in connection.execute(statement)]


def held(connection: Connection, area_pk: int, sop_instance_uids: Sequence[str]) -> dict[str, Location]:
    """Those of these instances that an area holds, by their UID."""
    among = dialects.among(connection.dialect.name, instances.c.sop_instance_uid, sop_instance_uids)
    found = connection.execute(select(*_COLUMNS).where(instances.c.area_pk == area_pk, among))
    return {location.sop_instance_uid: location for location in (Location(*row) for row in found)}
