"""Small instances between their store and their file: their bytes are rows, in the transaction that stored them.

A store is then durable by the one sync of its COMMIT. Until housekeeping has made the file, durable too, the row of the
instance names none; the transaction that names it drops the bytes. Whoever reads finds the one or the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from archive.database import dialects
from archive.database.prepared import Prepared
from archive.index.tables import instances, unfiled_instances

_insert = Prepared(lambda _: insert(unfiled_instances), ["instance_pk", "content"])


@dataclass(frozen=True, slots=True)
class Unfiled:
    """An instance that waits for its file, and all that the file will hold."""

    instance_pk: int
    content: bytes


def add(connection: Connection, instance_pk: int, content: bytes) -> None:
    """Keep the bytes of an instance whose row was inserted in this transaction without a path."""
    _insert.run(connection, {"instance_pk": instance_pk, "content": content})


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where the bytes of an instance are now: `content` in the database, or a file at `path`."""

    content: bytes | None
    path: str | None


def find(connection: Connection, instance_pk: int, sop_instance_uid: str) -> Whereabouts | None:
    """Where an instance is that had no file; None if it is gone."""
    with_content = instances.outerjoin(unfiled_instances, unfiled_instances.c.instance_pk == instances.c.pk)
    row = connection.execute(
        select(unfiled_instances.c.content, instances.c.path)
        .select_from(with_content)
        .where(instances.c.pk == instance_pk, instances.c.sop_instance_uid == sop_instance_uid)
    ).one_or_none()
    return None if row is None else Whereabouts(*row)


def areas(connection: Connection) -> set[int]:
    """The areas with instances that wait for their file; one look at those that wait, however many areas there are."""
    waiting = unfiled_instances.join(instances, instances.c.pk == unfiled_instances.c.instance_pk)
    return set(connection.scalars(select(instances.c.area_pk).select_from(waiting).distinct()))


def some(connection: Connection, area_pk: int, most: int) -> list[Unfiled]:
    """Instances of an area that wait for their file, oldest first."""
    statement = (
        select(unfiled_instances.c.instance_pk, unfiled_instances.c.content)
        .join(instances, instances.c.pk == unfiled_instances.c.instance_pk)
        .where(instances.c.area_pk == area_pk, instances.c.path.is_(None))
        .order_by(unfiled_instances.c.instance_pk)
        .limit(most)
    )
    return [Unfiled(*row) for row in connection.execute(statement)]


def settle(connection: Connection, paths: Mapping[int, str]) -> set[int]:
    """Name the files that were made (instance -> path) and drop the bytes; returns the instances that were named.

    The others were removed, or named by somebody else, while their file was made: that file is nobody's.
    """
    dialect = connection.dialect.name
    waiting = (dialects.among(dialect, instances.c.pk, list(paths)), instances.c.path.is_(None))
    # The row of the instance first, as whoever removes it does.
    locked = select(instances.c.pk).where(*waiting).order_by(instances.c.pk).with_for_update()
    still_there = set(connection.scalars(locked))
    if still_there:
        name = update(instances).where(instances.c.pk == bindparam("of_instance")).values(path=bindparam("new_path"))
        connection.execute(name, [{"of_instance": pk, "new_path": paths[pk]} for pk in sorted(still_there)])
        among = dialects.among(dialect, unfiled_instances.c.instance_pk, sorted(still_there))
        connection.execute(delete(unfiled_instances).where(among))
    return still_there
