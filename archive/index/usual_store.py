"""The usual store, an instance of a series known from the store before, as one statement: where each statement is a
trip to a server, four of five are saved.

It does what the plain statements of `upsert` and `usage` do, in their order, since each part waits for rows of the one
before: the study's usage, the series, the instance, its bytes, the area's usage. Where nothing else belongs to its
transaction, it is one by itself, and saves the trips of BEGIN and COMMIT. PostgreSQL only: SQLite has no UPDATE within
a WITH, and needs no trip.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Integer,
    Update,
    bindparam,
    case,
    cast,
    exists,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.engine import Dialect

from archive.database import dialects
from archive.database.prepared import Prepared
from archive.index import rows
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
    values = _values(area_pk, record, shard, parents)
    return Tried(*(_of_file if record.content is None else _with_content).run(connection, values).rows[0])


def try_at_once(connection: Connection, area_pk: int, record: Record, shard: int, parents: Parents) -> bool:
    """The same of an instance without a file, as a transaction of its own, all of it or nothing.

    False if something is not as usual. Raises DBAPIError with dialects.DIVISION_BY_ZERO where it was, and is no more.
    """
    assert record.content is not None
    ((is_done,),) = _at_once.run(connection, _values(area_pk, record, shard, parents)).rows
    return bool(is_done)


def _values(area_pk: int, record: Record, shard: int, parents: Parents) -> Mapping[str, Any]:
    return {
        **record.instance_values,
        "area_pk": area_pk,
        "study_pk": parents.study_pk,
        "series_pk": parents.series_pk,
        "of_shard": shard,
        "added_bytes": record.size_bytes,
        "now": record.received_at,
        "content": record.content,
    }


class _Parts(NamedTuple):
    """What one statement does, in its order."""

    study: CTE
    of_series: CTE
    instance: CTE
    of_area: CTE
    others: list[CTE]


def _parts(dialect: Dialect, *, has_content: bool, usual: CTE | None = None) -> _Parts:
    """All of it; where it is said what is usual, and that has no row, nothing."""
    study = _count_in_study()
    of_series = _count_in_series()
    if usual is not None:
        study = study.where(exists(select(usual.c.pk)))
        of_series = of_series.where(_lists_the_class())  # as the series is when its turn has come
    counted_in_study = study.returning(study_usage.c.study_pk).cte("counted_in_study")
    of_series = of_series.where(exists(select(counted_in_study.c.study_pk)))
    counted_in_series = of_series.returning(series.c.pk, series.c.sop_classes).cte("counted_in_series")
    instance = _insert_instance(dialect, counted_in_series)
    others = [_keep_content(instance)] if has_content else []
    return _Parts(counted_in_study, counted_in_series, instance, _count_in_area(instance), others)


def _in_a_transaction(dialect: Dialect, *, has_content: bool) -> Any:
    parts = _parts(dialect, has_content=has_content)
    return select(
        exists(select(parts.study.c.study_pk)),
        exists(select(parts.of_series.c.pk)),
        select(parts.of_series.c.sop_classes).scalar_subquery(),
        select(parts.instance.c.pk).scalar_subquery(),
        exists(select(parts.of_area.c.shard)),
    ).add_cte(*parts.others)


def _as_a_transaction(dialect: Dialect) -> Any:
    """Asks first whether it is as usual. If it was, and a part finds out that it is so no more, the division by zero
    takes back what the others did: a parent was removed, or somebody stored the same, in the same moment."""
    usual = _usual()
    parts = _parts(dialect, has_content=True, usual=usual)
    counted = select(func.count()).select_from(parts.of_area).scalar_subquery()
    return select(case((exists(select(usual.c.pk)), literal(1, Integer) // counted), else_=0)).add_cte(*parts.others)


_of_file = Prepared(lambda dialect: _in_a_transaction(dialect, has_content=False))
_with_content = Prepared(lambda dialect: _in_a_transaction(dialect, has_content=True))
_at_once = Prepared(_as_a_transaction)


def _usual() -> CTE:
    """A row if the series lists the SOP Class, and the area does not hold the instance."""
    held = select(instances.c.pk).where(
        instances.c.area_pk == bindparam("area_pk"),
        instances.c.sop_instance_uid == bindparam("sop_instance_uid"),
    )
    return select(series.c.pk).where(_is_the_series(), _lists_the_class(), ~exists(held)).cte("usual")


def _is_the_series() -> ColumnElement[bool]:
    return series.c.pk == bindparam("series_pk")


def _lists_the_class() -> ColumnElement[bool]:
    of_class = instances.c.sop_class_uid.type
    listed = func.string_to_array(series.c.sop_classes, rows.SEPARATOR)
    return cast(bindparam("sop_class_uid", type_=of_class), of_class) == func.any(listed)


def _added_bytes() -> ColumnElement[int]:
    return bindparam("added_bytes", type_=study_usage.c.size_bytes.type)


def _count_in_study() -> Update:
    return (
        update(study_usage)
        .where(study_usage.c.study_pk == bindparam("study_pk"))
        .values(
            number_of_instances=study_usage.c.number_of_instances + 1,
            size_bytes=study_usage.c.size_bytes + _added_bytes(),
            last_stored_at=bindparam("now", type_=study_usage.c.last_stored_at.type),
        )
    )


def _count_in_series() -> Update:
    return (
        update(series)
        .where(_is_the_series())
        .values(
            number_of_instances=series.c.number_of_instances + 1,
            size_bytes=series.c.size_bytes + _added_bytes(),
        )
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
