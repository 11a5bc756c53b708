"""What parents keep of their children: counters that move with the rows they count, and lists of what is inside.

An area's counters are spread over shards, one for each writing process, so that writers do not wait for each other's
commit; what an area holds is their sum.
"""

import zlib
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, select, update

from archive.database import dialects
from archive.database.prepared import Prepared
from archive.index import rows
from archive.index.record import UsageChange
from archive.index.tables import area_usage, instances, series, studies

# Processes beyond this share shards, which costs them a wait and nothing else.
SHARDS = 64

_count_in_area = Prepared(
    lambda _: (
        update(area_usage)
        .where(area_usage.c.area_pk == bindparam("area"), area_usage.c.shard == bindparam("of_shard"))
        .values(
            number_of_studies=area_usage.c.number_of_studies + bindparam("studies"),
            number_of_series=area_usage.c.number_of_series + bindparam("series"),
            number_of_instances=area_usage.c.number_of_instances + bindparam("instances"),
            size_bytes=area_usage.c.size_bytes + bindparam("added_bytes"),
        )
    )
)

_lists_of_series = Prepared(
    lambda _: select(series.c.modality, series.c.sop_classes).where(series.c.study_pk == bindparam("study"))
)

_set_lists_of_study = Prepared(
    lambda _: (
        update(studies)
        .where(studies.c.pk == bindparam("pk_of_study"))
        .values(modalities_in_study=bindparam("modalities"), sop_classes_in_study=bindparam("classes"))
    )
)


def summarize_study(connection: Connection, study_pk: int) -> None:
    """Set the study's lists of modalities and SOP Classes to what its series hold."""
    held = _lists_of_series.run(connection, {"study": study_pk}).rows
    modalities = {modality for modality, _ in held if modality}
    classes = {uid for _, sop_classes in held for uid in rows.split(sop_classes)}
    lists = {"modalities": rows.join(modalities), "classes": rows.join(classes)}
    _set_lists_of_study.run(connection, {"pk_of_study": study_pk, **lists})


def count_in_area(connection: Connection, area_pk: int, shard: int, change: UsageChange) -> None:
    """Move the area's counters; a shard has its row from the first time it counts."""
    values = {
        "area": area_pk,
        "of_shard": shard,
        "studies": change.number_of_studies,
        "series": change.number_of_series,
        "instances": change.number_of_instances,
        "added_bytes": change.size_bytes,
    }
    if _count_in_area.run(connection, values).rowcount == 0:
        row = {"area_pk": area_pk, "shard": shard}
        connection.execute(dialects.insert_once(connection.dialect.name, area_usage), row)
        _count_in_area.run(connection, values)


_sum_of_area = Prepared(
    lambda _: select(
        *(
            func.coalesce(func.sum(area_usage.c[name]), 0)
            for name in ("number_of_studies", "number_of_series", "number_of_instances", "size_bytes")
        )
    ).where(area_usage.c.area_pk == bindparam("area"))
)


_by_shards = Prepared(
    lambda _: select(
        func.coalesce(func.sum(area_usage.c.size_bytes), 0),
        func.count(),
        func.count().filter(area_usage.c.shard == bindparam("of_shard")),
    ).where(area_usage.c.area_pk == bindparam("area"))
)


@dataclass(frozen=True, slots=True)
class Shards:
    """What the counters of an area say together, and how many there are."""

    size_bytes: int
    number_of_shards: int
    has_shard: bool
    """Whether the one that was asked for is among them."""


def by_shards(connection: Connection, area_pk: int, shard: int) -> Shards:
    """The bytes of an area, and among how many shards they are counted."""
    ((size_bytes, number_of_shards, of_shard),) = _by_shards.run(connection, {"area": area_pk, "of_shard": shard}).rows
    return Shards(int(size_bytes), number_of_shards, of_shard > 0)


def shard_of(node: str, worker: int) -> int:
    """The shard of a worker process: its own within the node, and most likely that of no other node's."""
    return (zlib.crc32(node.encode()) + worker) % SHARDS


@dataclass(frozen=True, slots=True)
class Usage:
    """What an area, or a study, holds."""

    number_of_studies: int
    number_of_series: int
    number_of_instances: int
    size_bytes: int


def of_area(connection: Connection, area_pk: int) -> Usage:
    """What the counters say that an area holds."""
    (sums,) = _sum_of_area.run(connection, {"area": area_pk}).rows
    return Usage(*map(int, sums))


def counted(connection: Connection, area_pk: int) -> Usage:
    """What the rows of an area add up to: the truth that its counters must tell."""
    studies_held = select(func.count()).where(studies.c.area_pk == area_pk).scalar_subquery()
    series_held = select(func.count()).where(series.c.area_pk == area_pk).scalar_subquery()
    of_instances = (func.count(), func.coalesce(func.sum(instances.c.size_bytes), 0))
    row = connection.execute(
        select(studies_held, series_held, *of_instances).where(instances.c.area_pk == area_pk)
    ).one()
    return Usage(*map(int, row))
