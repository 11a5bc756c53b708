"""Questions of a check: which files rows name, and which counters differ from what they count.

A correct transaction moves rows and counters together, so the difference between a counter and its truth, seen in one
statement, is the same before and after it. A repair therefore adds differences, and needs no store to wait for it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, ScalarSelect, bindparam, func, literal, select, union_all, update

from archive.database import dialects
from archive.index import usage
from archive.index.record import UsageChange
from archive.index.tables import (
    area_usage,
    deletions,
    instances,
    series,
    studies,
    study_usage,
    unfiled_instances,
)
from archive.index.usage import Usage

_PATHS_IN_ONE_FETCH = 10_000


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A file as its row describes it, or bytes that wait for theirs."""

    pk: int
    sop_instance_uid: str
    path: str | None
    size_bytes: int
    checksum: bytes | None
    unfiled_bytes: int | None
    """How many bytes wait for their file, where `path` is None."""


@dataclass(frozen=True, slots=True)
class WrongCounters:
    """Counters that differ from what they count; `uid` is empty for those of the whole area."""

    level: str
    uid: str
    pk: int
    held: Usage
    counted: Usage


def files_after(connection: Connection, area_pk: int, pk: int, most: int) -> list[HeldFile]:
    """The next files of an area, in the order they arrived, after the row `pk`."""
    # Adding 0 keeps the index of the area out of it, which would sort all that is left of the area for each batch.
    statement = _held_files().where(instances.c.pk > pk, instances.c.area_pk + 0 == area_pk)
    return [HeldFile(*row) for row in connection.execute(statement.order_by(instances.c.pk).limit(most))]


def files_of(connection: Connection, pks: Sequence[int]) -> list[HeldFile]:
    """The files of those of these rows that are still there."""
    among = dialects.among(connection.dialect.name, instances.c.pk, pks)
    return [HeldFile(*row) for row in connection.execute(_held_files().where(among).order_by(instances.c.pk))]


def _held_files():
    columns = (
        instances.c.pk,
        instances.c.sop_instance_uid,
        instances.c.path,
        instances.c.size_bytes,
        instances.c.checksum,
    )
    with_content = instances.outerjoin(unfiled_instances, unfiled_instances.c.instance_pk == instances.c.pk)
    return select(*columns, func.length(unfiled_instances.c.content)).select_from(with_content)


def number_after(connection: Connection, area_pk: int, pk: int) -> int:
    """How many instances of an area come after the row `pk`."""
    statement = select(func.count()).where(instances.c.area_pk == area_pk, instances.c.pk > pk)
    return connection.scalar(statement) or 0


def record_checksums(connection: Connection, checksums: Mapping[HeldFile, bytes]) -> None:
    """Write down checksums of files that have none; those whose row was changed meanwhile stay as they are."""
    same = (instances.c.pk == bindparam("of_instance"), instances.c.path == bindparam("of_path"))
    statement = update(instances).where(*same, instances.c.checksum.is_(None)).values(checksum=bindparam("read"))
    found = [{"of_instance": file.pk, "of_path": file.path, "read": read} for file, read in checksums.items()]
    connection.execute(statement, found)


def sorted_paths(connection: Connection, area_pk: int) -> Iterator[tuple[str, bool]]:
    """Every path that a row of the area names, by code point; False beside those that only wait to be unlinked.

    No index serves this: the database sorts, in its own files, while this process keeps one fetch in memory.
    """
    filed = (instances.c.area_pk == area_pk, instances.c.path.is_not(None))
    held = select(instances.c.path, literal(1).label("is_held")).where(*filed)
    waiting = select(deletions.c.path, literal(0)).where(deletions.c.area_pk == area_pk)
    both = union_all(held, waiting).subquery()
    statement = select(both.c.path, both.c.is_held).order_by(both.c.path)
    for row in connection.execute(statement.execution_options(yield_per=_PATHS_IN_ONE_FETCH)):
        yield row.path, bool(row.is_held)


def named_paths(connection: Connection, area_pk: int, paths: Sequence[str]) -> set[str]:
    """Which of these paths a row of the area names, as an instance or as waiting to be unlinked; reads all its rows."""
    named: set[str] = set()
    for table in (instances, deletions):
        statement = select(table.c.path).where(table.c.area_pk == area_pk, table.c.path.in_(paths))
        named.update(connection.scalars(statement))
    return named


def wrong_counters(connection: Connection, area_pk: int) -> list[WrongCounters]:
    """All counters of an area that are wrong, series first; in a transaction that sees one moment."""
    return [
        *_wrong_series(connection, area_pk),
        *_wrong_studies(connection, area_pk),
        *_wrong_area(connection, area_pk),
    ]


def repair_counters(connection: Connection, area_pk: int, shard: int) -> list[WrongCounters]:
    """Add to every wrong counter of an area what is missing; returns what was wrong. Only one repair at a time."""
    of_series = _wrong_series(connection, area_pk)
    for wrong in of_series:
        _add(connection, series, series.c.pk, wrong, ("number_of_instances", "size_bytes"))
    of_studies = _wrong_studies(connection, area_pk)  # against series that are right now
    counters = ("number_of_series", "number_of_instances", "size_bytes")
    for wrong in of_studies:
        _add(connection, study_usage, study_usage.c.study_pk, wrong, counters)
    of_area = _wrong_area(connection, area_pk)
    for wrong in of_area:
        usage.count_in_area(connection, area_pk, shard, UsageChange(**_missing(wrong)))
    return [*of_series, *of_studies, *of_area]


def _missing(wrong: WrongCounters) -> dict[str, int]:
    names = ("number_of_studies", "number_of_series", "number_of_instances", "size_bytes")
    return {name: getattr(wrong.counted, name) - getattr(wrong.held, name) for name in names}


def _add(connection: Connection, table: Any, key: Any, wrong: WrongCounters, counters: Sequence[str]) -> None:
    missing = _missing(wrong)
    values = {table.c[name]: table.c[name] + missing[name] for name in counters}
    connection.execute(update(table).where(key == wrong.pk).values(values))


def _wrong_series(connection: Connection, area_pk: int) -> list[WrongCounters]:
    truth = (
        select(
            instances.c.series_pk.label("pk"),
            func.count().label("instances"),
            func.sum(instances.c.size_bytes).label("size"),
        )
        .where(instances.c.area_pk == area_pk)
        .group_by(instances.c.series_pk)
        .subquery()
    )
    number, size = func.coalesce(truth.c.instances, 0), func.coalesce(truth.c.size, 0)
    statement = (
        select(
            series.c.pk, series.c.series_instance_uid, series.c.number_of_instances, series.c.size_bytes, number, size
        )
        .select_from(series.outerjoin(truth, truth.c.pk == series.c.pk))
        .where(series.c.area_pk == area_pk)
        .where((series.c.number_of_instances != number) | (series.c.size_bytes != size))
        .order_by(series.c.pk)
    )
    return [
        WrongCounters("SERIES", uid, pk, Usage(0, 0, held, held_bytes), Usage(0, 0, int(number), int(size)))
        for pk, uid, held, held_bytes, number, size in connection.execute(statement)
    ]


def _wrong_studies(connection: Connection, area_pk: int) -> list[WrongCounters]:
    truth = (
        select(
            series.c.study_pk.label("pk"),
            func.count().label("series"),
            func.sum(series.c.number_of_instances).label("instances"),
            func.sum(series.c.size_bytes).label("size"),
        )
        .where(series.c.area_pk == area_pk)
        .group_by(series.c.study_pk)
        .subquery()
    )
    held = (study_usage.c.number_of_series, study_usage.c.number_of_instances, study_usage.c.size_bytes)
    sums = tuple(func.coalesce(column, 0) for column in (truth.c.series, truth.c.instances, truth.c.size))
    differs = (held[0] != sums[0]) | (held[1] != sums[1]) | (held[2] != sums[2])
    with_sums = studies.join(study_usage, study_usage.c.study_pk == studies.c.pk)
    statement = (
        select(studies.c.pk, studies.c.study_instance_uid, *held, *sums)
        .select_from(with_sums.outerjoin(truth, truth.c.pk == studies.c.pk))
        .where(studies.c.area_pk == area_pk, differs)
        .order_by(studies.c.pk)
    )
    return [
        WrongCounters("STUDY", uid, pk, Usage(0, *map(int, numbers[:3])), Usage(0, *map(int, numbers[3:])))
        for pk, uid, *numbers in map(tuple, connection.execute(statement))
    ]


def _wrong_area(connection: Connection, area_pk: int) -> list[WrongCounters]:
    def total(table: Any, value: Any) -> ScalarSelect[Any]:
        return select(func.coalesce(value, 0)).select_from(table).where(table.c.area_pk == area_pk).scalar_subquery()

    counters = ("number_of_studies", "number_of_series", "number_of_instances", "size_bytes")
    held = [total(area_usage, func.sum(area_usage.c[name])) for name in counters]
    counted = [total(table, func.count()) for table in (studies, series, instances)]
    counted.append(total(instances, func.sum(instances.c.size_bytes)))
    row = list(map(int, connection.execute(select(*held, *counted)).one()))
    of_counters, of_rows = Usage(*row[:4]), Usage(*row[4:])
    return [] if of_counters == of_rows else [WrongCounters("AREA", "", area_pk, of_counters, of_rows)]
