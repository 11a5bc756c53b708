"""Where the instances lie that a retrieve asks for."""

from dataclasses import dataclass

from sqlalchemy import Connection

from archive.dicom.attributes import Level
from archive.index import select as questions
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


def locate(connection: Connection, query: Query, area_pk: int) -> list[Location]:
    """Every instance at or below the entities that match, in the order they arrived."""
    matching = questions.matching_statement(connection.dialect.name, query, area_pk, Level.IMAGE)
    columns = (
        instances.c.pk,
        instances.c.sop_class_uid,
        instances.c.sop_instance_uid,
        instances.c.transfer_syntax_uid,
        instances.c.path,
        instances.c.size_bytes,
        instances.c.data_set_offset,
    )
    statement = matching.with_only_columns(*columns, maintain_column_froms=True).order_by(instances.c.pk)
    return [Location(*row) for row in connection.execute(statement)]
