"""The usual store, an instance of a series known from the store before, as one statement: where each statement is a
trip to a server, four of five are saved.

It does what the plain statements of `upsert` and `usage` do, in their order, since each part waits for rows of the one
before: the study's usage, the series, the instance, its bytes, the area's usage. PostgreSQL only: SQLite has no UPDATE
within a WITH, and needs no trip.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import CTE, ColumnElement, Connection, bindparam, cast, exists, insert, select, update
from sqlalchemy.engine import Dialect

from archive.database import dialects
from archive.database.prepared import Prepared
from archive.index.record import Parents, Record
from archive.index.tables import area_usage, instances, series, study_usage, unfiled_instances

_COLUMNS = [column for column in instances.columns if column.name != "pk"]


class Tried(NamedTuple):
    """What became of each part; one that fails leaves those behind it undone."""

    is_counted_in_study: bool
    is_counted_in_series: bool
    sop_classes: str | None
    """What the series lists."""
    instance_pk: int | None
    """None if the area holds the SOP Instance UID already."""
    is_counted_in_area: bool


def is_possible(connection: Connection, record: Record, parents: Parents) -> bool:
    """Whether this is a usual store, on a database that saves by it: of a known series, saying the same of it."""
    return (
        dialects.changes_rows_in_with(connection)
        and record.study_fingerprint == parents.study_fingerprint
        and record.series_fingerprint == parents.series_fingerprint
    )


def try_it(connection: Connection, area_pk: int, record: Record, shard: int, parents: Parents) -> Tried:
    """Count the instance in its study, series and area, and insert it with the bytes that have no file."""
    values: Mapping[str, Any] = {
        **record.instance_values,
        "area_pk": area_pk,
        "study_pk": parents.study_pk,
        "series_pk": parents.series_pk,
        "of_shard": shard,
        "added_bytes": record.size_bytes,
        "now": record.received_at,
    }
    if record.content is None:
        return Tried(*_of_file.run(connection, values).rows[0])
    return Tried(*_with_content.run(connection, {**values, "content": record.content}).rows[0])


def _statement(dialect: Dialect, *, has_content: bool) -> Any:
    study = _count_in_study()
    of_series = _count_in_series(study)
    instance = _insert_instance(dialect, of_series)
    of_area = _count_in_area(instance)
    whole = select(
        exists(select(study.c.study_pk)),
        exists(select(of_series.c.pk)),
        select(of_series.c.sop_classes).scalar_subquery(),
        select(instance.c.pk).scalar_subquery(),
        exists(select(of_area.c.shard)),
    )
    return whole.add_cte(_keep_content(instance)) if has_content else whole


_of_file = Prepared(lambda dialect: _statement(dialect, has_content=False))
_with_content = Prepared(lambda dialect: _statement(dialect, has_content=True))


def _added_bytes() -> ColumnElement[int]:
    return bindparam("added_bytes", type_=study_usage.c.size_bytes.type)


def _count_in_study() -> CTE:
    return (
        update(study_usage)
        .where(study_usage.c.study_pk == bindparam("study_pk"))
        .values(
            number_of_instances=study_usage.c.number_of_instances + 1,
            size_bytes=study_usage.c.size_bytes + _added_bytes(),
            last_stored_at=bindparam("now", type_=study_usage.c.last_stored_at.type),
        )
        .returning(study_usage.c.study_pk)
        .cte("counted_in_study")
    )


def _count_in_series(study: CTE) -> CTE:
    return (
        update(series)
        .where(series.c.pk == bindparam("series_pk"), exists(select(study.c.study_pk)))
        .values(
            number_of_instances=series.c.number_of_instances + 1,
            size_bytes=series.c.size_bytes + _added_bytes(),
        )
        .returning(series.c.pk, series.c.sop_classes)
        .cte("counted_in_series")
    )


def _insert_instance(dialect: Dialect, of_series: CTE) -> CTE:
    # In a SELECT a parameter has no column to take its type from.
    values = [cast(bindparam(column.name, type_=column.type), column.type) for column in _COLUMNS]
    return (
        dialects.insert(dialect.name, instances)
        .from_select([column.name for column in _COLUMNS], select(*values).select_from(of_series))
        .on_conflict_do_nothing()
        .returning(instances.c.pk)
        .cte("inserted")
    )


def _keep_content(instance: CTE) -> CTE:
    content = unfiled_instances.c.content
    row = select(instance.c.pk, cast(bindparam("content", type_=content.type), content.type))
    return insert(unfiled_instances).from_select(["instance_pk", "content"], row).cte("kept_content")


def _count_in_area(instance: CTE) -> CTE:
    return (
        update(area_usage)
        .where(
            area_usage.c.area_pk == bindparam("area_pk"),
            area_usage.c.shard == bindparam("of_shard"),
            exists(select(instance.c.pk)),
        )
        .values(
            number_of_instances=area_usage.c.number_of_instances + 1,
            size_bytes=area_usage.c.size_bytes + _added_bytes(),
        )
        .returning(area_usage.c.shard)
        .cte("counted_in_area")
    )
