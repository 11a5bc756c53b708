"""Who keeps house, and how it goes: the lease of the elected node, and what went wrong in which area.

All moments are those of the database's clock, so that nodes whose clocks differ agree on when a lease ends. Nothing is
held between transactions; a pooler in transaction mode may sit in between.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, case, func, insert, or_, select, update

from archive.database import dialects
from archive.index.tables import deletions, housekeeping, housekeeping_errors, instances, unfiled_instances

# Longer texts say no more.
_MOST_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class State:
    """The node that keeps house, and its last round."""

    node: str
    elected_at: datetime
    lease_until: datetime
    last_round_at: datetime | None
    last_round_seconds: float | None
    last_error: str | None
    last_error_at: datetime | None


@dataclass(frozen=True, slots=True)
class AreaError:
    """What went wrong in an area the last time that this was tried."""

    area_pk: int
    work: str
    """`file`, `evict` or `unlink`."""
    error: str
    last_at: datetime
    is_mended: bool


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for housekeeping in an area."""

    files_to_unlink: int
    instances_to_file: int


def take_lease(connection: Connection, node: str, lease_seconds: float) -> bool:
    """Be elected, or stay so, for some seconds from now on; False while another node is."""
    now = dialects.now(connection)
    until = now + timedelta(seconds=lease_seconds)
    is_ours = housekeeping.c.node == node
    taken = connection.execute(
        update(housekeeping)
        .where(or_(is_ours, housekeeping.c.lease_until < now))
        .values(node=node, elected_at=case((is_ours, housekeeping.c.elected_at), else_=now), lease_until=until)
    )
    if taken.rowcount:
        return True
    first = {"pk": 1, "node": node, "elected_at": now, "lease_until": until}
    return connection.scalar(dialects.insert_once(connection.dialect.name, housekeeping, "pk"), first) is not None


def give_up_lease(connection: Connection, node: str) -> None:
    """Let any node be elected from now on."""
    now = dialects.now(connection)
    ours = (housekeeping.c.node == node, housekeeping.c.lease_until > now)
    connection.execute(update(housekeeping).where(*ours).values(lease_until=now))


def note_round(connection: Connection, node: str, seconds: float, error: str | None) -> None:
    """Write down that a round of this node has ended, and what ended it early."""
    now = dialects.now(connection)
    values = {"last_round_at": now, "last_round_seconds": seconds}
    if error is not None:
        values |= {"last_error": error[:_MOST_CHARACTERS], "last_error_at": now}
    connection.execute(update(housekeeping).where(housekeeping.c.node == node).values(values))


def note_error(connection: Connection, area_pk: int, work: str, error: str) -> None:
    """Write down what went wrong in an area."""
    now = dialects.now(connection)
    values = {"error": error[:_MOST_CHARACTERS], "last_at": now, "is_mended": False}
    of_work = (housekeeping_errors.c.area_pk == area_pk, housekeeping_errors.c.work == work)
    if connection.execute(update(housekeeping_errors).where(*of_work).values(values)).rowcount == 0:
        connection.execute(insert(housekeeping_errors), {"area_pk": area_pk, "work": work, **values})


def note_mended(connection: Connection, area_pk: int, work: str) -> None:
    """Write down that what went wrong in an area goes well again."""
    of_work = (housekeeping_errors.c.area_pk == area_pk, housekeeping_errors.c.work == work)
    connection.execute(update(housekeeping_errors).where(*of_work).values(is_mended=True))


def state(connection: Connection) -> State | None:
    """Who keeps house; None if nobody ever did."""
    row = connection.execute(select(*(housekeeping.c[name] for name in State.__slots__))).one_or_none()
    return None if row is None else State(*row)


def is_kept(connection: Connection, found: State) -> bool:
    """Whether the node still has its lease."""
    return found.lease_until > dialects.now(connection)


def errors(connection: Connection) -> list[AreaError]:
    """What went wrong in which area, the last first."""
    columns = (housekeeping_errors.c[name] for name in AreaError.__slots__)
    return [
        AreaError(*row) for row in connection.execute(select(*columns).order_by(housekeeping_errors.c.last_at.desc()))
    ]


def backlog(connection: Connection, area_pk: int) -> Backlog:
    """What waits in an area."""
    to_unlink = select(func.count()).where(deletions.c.area_pk == area_pk)
    with_instance = unfiled_instances.join(instances, instances.c.pk == unfiled_instances.c.instance_pk)
    to_file = select(func.count()).select_from(with_instance).where(instances.c.area_pk == area_pk)
    return Backlog(connection.scalar(to_unlink) or 0, connection.scalar(to_file) or 0)
