"""Put one instance into the index: THE statements of a store.

The usual store adds to a series that exists: three updates and an insert by primary keys known from the store before.
Those keys are safe to remember: a key is never used twice, so if the study or series was removed meanwhile, its update
touches no row and the store looks again. What exists is found by its unique constraint, and what does not is inserted
ON CONFLICT DO NOTHING, so that the first instances of a study may come over many associations at once.
Row locks are taken in one order: the study's usage, the series, the instance, the area's usage.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, bindparam, insert, select, update

from archive.database import dialects
from archive.database.prepared import Outcome, Prepared
from archive.errors import DatabaseFailed, DuplicateInstance
from archive.index import evictable, remove, rows, unfiled, usage, usual_store
from archive.index.disagreements import note_disagreements, note_patient
from archive.index.record import AlreadyHeld, Duplicates, Parents, Record, Stored, UsageChange
from archive.index.tables import instances, patients, series, series_requests, studies, study_usage

# A row that vanishes between two looks was taken away by somebody else. As many may be at it as there are associations,
# each of which re-sends the same instance, and every one of them goes before us in the worst case.
_LOOKS = 100

_count_in_study = Prepared(
    lambda _: (
        update(study_usage)
        .where(study_usage.c.study_pk == bindparam("pk"))
        .values(
            number_of_instances=study_usage.c.number_of_instances + bindparam("added"),
            size_bytes=study_usage.c.size_bytes + bindparam("added_bytes"),
            last_stored_at=bindparam("now", type_=study_usage.c.last_stored_at.type),
        )
    )
)

_count_in_series = Prepared(
    lambda _: (
        update(series)
        .where(series.c.pk == bindparam("pk_of_series"))
        .values(
            number_of_instances=series.c.number_of_instances + bindparam("added"),
            size_bytes=series.c.size_bytes + bindparam("added_bytes"),
        )
        .returning(series.c.sop_classes)
    )
)

_find_parents = Prepared(
    lambda _: (
        select(studies.c.pk, studies.c.fingerprint, series.c.pk, series.c.fingerprint, series.c.modality)
        .select_from(
            studies.outerjoin(
                series, (series.c.study_pk == studies.c.pk) & (series.c.series_instance_uid == bindparam("series_uid"))
            )
        )
        .where(studies.c.area_pk == bindparam("area"), studies.c.study_instance_uid == bindparam("study_uid"))
    )
)

_find_patient = Prepared(
    lambda _: select(patients.c.pk).where(
        patients.c.area_pk == bindparam("area"), patients.c.patient_key == bindparam("key")
    )
)

_count_series_in_study = Prepared(
    lambda _: (
        update(study_usage)
        .where(study_usage.c.study_pk == bindparam("pk"))
        .values(number_of_series=study_usage.c.number_of_series + bindparam("added"))
    )
)

# Whether its area evicts is asked of the area as it is now: an association may be older than the policy.
_insert_study_usage = Prepared(
    lambda _: insert(study_usage).from_select(
        ["study_pk", "area_pk", "last_stored_at", "is_evictable"],
        select(
            bindparam("of_study", type_=study_usage.c.study_pk.type),
            evictable.area.c.pk,
            bindparam("now", type_=study_usage.c.last_stored_at.type),
            evictable.AREA_EVICTS,
        ).where(evictable.area.c.pk == bindparam("of_area")),
    )
)


def _insert_once(table: Table, without: frozenset[str] = frozenset()) -> Prepared:
    """Insert a parent unless it is there; returns its key if it was not. Columns `without` keep their defaults."""
    columns = [column.name for column in table.columns if column.name != "pk" and column.name not in without]
    return Prepared(lambda dialect: dialects.insert_once(dialect.name, table, "pk"), columns)


_insert_patient = _insert_once(patients)
_insert_study = _insert_once(studies, frozenset({"modalities_in_study", "sop_classes_in_study"}))
_insert_series = _insert_once(series, frozenset({"number_of_instances", "size_bytes"}))
_insert_instance = _insert_once(instances)
_insert_instances = Prepared(
    lambda dialect: dialects.insert_once(dialect.name, instances),
    [column.name for column in instances.columns if column.name != "pk"],
)


def add(
    connection: Connection,
    area_pk: int,
    record: Record,
    *,
    duplicates: Duplicates,
    shard: int,
    known: Parents | None = None,
    total: UsageChange | None = None,
) -> Stored:
    """Index the instance in an area; `known` parents are tried first.

    Who adds many in one transaction may give a `total` that adds them up, and counts that in the area at the end.
    Raises AlreadyHeld or DuplicateInstance where the area keeps what it has, and the transaction must be rolled back.
    """
    change = UsageChange(number_of_instances=1, size_bytes=record.size_bytes)
    if known is not None and total is None and _added_together(connection, area_pk, record, shard, known):
        return _usually_stored(record, known)
    parents = _counted_parents(connection, area_pk, record, known, change)
    note_disagreements(connection, area_pk, record, parents)
    replaced: list[remove.HeldInstance] = []
    for _ in range(_LOOKS):
        if _inserted(connection, area_pk, record, parents):
            for held in replaced:
                remove.settle_sop_classes(connection, held)
            if total is None:
                usage.count_in_area(connection, area_pk, shard, change)
            else:
                total.include(change)
            from_study_bytes = sum(held.size_bytes for held in replaced if held.study_pk == parents.study_pk)
            return Stored(parents, bool(replaced), change, record.size_bytes - from_study_bytes)
        held = remove.lock_instance(connection, area_pk, record.header.sop_instance_uid)
        if held is None:
            continue  # it was removed between the insert and the look
        # This very store: a commit whose answer was lost, done again; its row is in place, and counted.
        is_this = _is_of(held, record)
        if duplicates is Duplicates.KEEP or is_this:
            raise AlreadyHeld(held.path, is_this=is_this)
        if duplicates is Duplicates.REJECT:
            raise DuplicateInstance(sop_instance_uid=record.header.sop_instance_uid)
        remove.remove_instance(connection, held, "replaced", change, record.received_at)
        replaced.append(held)
    raise DatabaseFailed("Somebody else stores the instance again and again", uid=record.header.sop_instance_uid)


def add_at_once(connection: Connection, area_pk: int, record: Record, *, shard: int, known: Parents) -> Stored | None:
    """The usual store of an instance without a file, as one statement that is a transaction; None if it is not usual.

    For `transaction.write_at_once`; what it does not do is done in the plain way.
    """
    if usual_store.is_possible(connection, record, known) and usual_store.try_at_once(
        connection, area_pk, record, shard, known
    ):
        return _usually_stored(record, known)
    return None


def _usually_stored(record: Record, known: Parents) -> Stored:
    change = UsageChange(number_of_instances=1, size_bytes=record.size_bytes)
    return Stored(known, False, change, record.size_bytes)


def _added_together(connection: Connection, area_pk: int, record: Record, shard: int, known: Parents) -> bool:
    """Do the usual store by one statement; False if something is not as usual, and then nothing happened."""
    if not usual_store.is_possible(connection, record, known):
        return False
    tried = usual_store.try_it(connection, area_pk, record, shard, known)
    if tried.instance_pk is None:
        if tried.is_counted_in_study:
            _take_back_from_study(connection, known.study_pk, 1, record.size_bytes)
        if tried.is_counted_in_series:
            taken = {"pk_of_series": known.series_pk, "added": -1, "added_bytes": -record.size_bytes}
            _count_in_series.run(connection, taken)
        return False
    _list_sop_classes(connection, known, tried.sop_classes, {record.header.sop_class_uid})
    if not tried.is_counted_in_area:  # the first of this shard
        change = UsageChange(number_of_instances=1, size_bytes=record.size_bytes)
        usage.count_in_area(connection, area_pk, shard, change)
    return True


def _inserted(connection: Connection, area_pk: int, record: Record, parents: Parents) -> bool:
    of_parents = {"area_pk": area_pk, "study_pk": parents.study_pk, "series_pk": parents.series_pk}
    pk = _made(_insert_instance.run(connection, {**record.instance_values, **of_parents}))
    if pk is not None and record.content is not None:
        unfiled.add(connection, pk, record.content)
    return pk is not None


def _is_of(held: remove.HeldInstance, record: Record) -> bool:
    """Whether a row is that of this record; without a file, the moment names the store: no two share a microsecond."""
    if record.path is not None:
        return held.path == record.path
    return (held.received_at, held.size_bytes) == (record.received_at, record.size_bytes)


def add_new(
    connection: Connection,
    area_pk: int,
    records: Sequence[Record],
    *,
    shard: int,
    known: Mapping[tuple[str, str], Parents],
) -> dict[tuple[str, str], Parents]:
    """Index many instances with files, of which the area holds none; the parents of all, by study and series UID.

    The same as `add` of each, with a few statements for a series where that has some for each instance. `known` parents
    are tried first. Raises AlreadyHeld where the area holds one after all, and the transaction must be rolled back.
    """
    change = UsageChange(number_of_instances=len(records), size_bytes=sum(record.size_bytes for record in records))
    of_series: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        key = (record.header.study_instance_uid, record.header.series_instance_uid)
        of_series.setdefault(key, []).append(record)
    made: dict[tuple[str, str], Parents] = {}
    values: list[dict[str, Any]] = []
    for key, together in of_series.items():
        parents = made[key] = _parents_of(connection, area_pk, together, known.get(key), change)
        of_parents = {"area_pk": area_pk, "study_pk": parents.study_pk, "series_pk": parents.series_pk}
        for record in together:
            note_disagreements(connection, area_pk, record, parents)
            values.append({**record.instance_values, **of_parents})
    if _insert_instances.run_many(connection, values) < len(values):
        raise AlreadyHeld(None)
    usage.count_in_area(connection, area_pk, shard, change)
    return made


def _counted_parents(
    connection: Connection, area_pk: int, record: Record, known: Parents | None, change: UsageChange
) -> Parents:
    """The study and series of the instance, made where missing, their rows locked and the instance counted in."""
    return _parents_of(connection, area_pk, (record,), known, change)


def _parents_of(
    connection: Connection, area_pk: int, records: Sequence[Record], known: Parents | None, change: UsageChange
) -> Parents:
    """The same for several instances of one series."""
    for _ in range(_LOOKS):
        parents = known or _found_or_made(connection, area_pk, records[0], change)
        if parents is not None and _counted(connection, records, parents):
            return parents
        known = None
    raise DatabaseFailed(
        "The study of the instance is removed again and again", uid=records[0].header.study_instance_uid
    )


def _counted(connection: Connection, records: Sequence[Record], parents: Parents) -> bool:
    """Count instances in their study and series; False if one of them is gone."""
    added = {"added": len(records), "added_bytes": sum([record.size_bytes for record in records])}
    of_study = {"pk": parents.study_pk, "now": records[-1].received_at, **added}
    if _count_in_study.run(connection, of_study).rowcount == 0:
        return False
    held = _count_in_series.run(connection, {"pk_of_series": parents.series_pk, **added}).rows
    if not held:
        _take_back_from_study(connection, parents.study_pk, added["added"], added["added_bytes"])
        return False
    _list_sop_classes(connection, parents, held[0][0], {record.header.sop_class_uid for record in records})
    return True


def _take_back_from_study(connection: Connection, study_pk: int, added: int, added_bytes: int) -> None:
    """The study's counter was moved for nothing, and the transaction goes on."""
    connection.execute(
        update(study_usage)
        .where(study_usage.c.study_pk == study_pk)
        .values(
            number_of_instances=study_usage.c.number_of_instances - added,
            size_bytes=study_usage.c.size_bytes - added_bytes,
        )
    )


def _list_sop_classes(connection: Connection, parents: Parents, held: str | None, sop_classes: set[str]) -> None:
    """Add what is new to the SOP Classes that a series, and so its study, is known to hold."""
    classes = set(rows.split(held))
    if not sop_classes <= classes:
        connection.execute(
            update(series).where(series.c.pk == parents.series_pk).values(sop_classes=rows.join(classes | sop_classes))
        )
        usage.summarize_study(connection, parents.study_pk)


def _found_or_made(connection: Connection, area_pk: int, record: Record, change: UsageChange) -> Parents | None:
    """Find the parents or make them; None if somebody else took away, or made, one of them in between."""
    study, parents = _found(connection, area_pk, record)
    if parents is not None:
        return parents
    study = study or _make_study(connection, area_pk, record, change)
    return None if study is None else _make_series(connection, area_pk, study, record, change)


class _Study(NamedTuple):
    """A study that is there."""

    pk: int
    fingerprint: bytes


def _found(connection: Connection, area_pk: int, record: Record) -> tuple[_Study | None, Parents | None]:
    """The study, and the parents if the series is there too."""
    header = record.header
    keys = {"area": area_pk, "study_uid": header.study_instance_uid, "series_uid": header.series_instance_uid}
    rows_found = _find_parents.run(connection, keys).rows
    if not rows_found:
        return None, None
    study_pk, of_study, series_pk, of_series, modality = rows_found[0]
    parents = None if series_pk is None else Parents(study_pk, series_pk, of_study, of_series, modality)
    return _Study(study_pk, of_study), parents


def _made(outcome: Outcome) -> int | None:
    """The key of the row that was inserted; None if it was there already."""
    return outcome.rows[0][0] if outcome.rows else None


def _make_study(connection: Connection, area_pk: int, record: Record, change: UsageChange) -> _Study | None:
    """Insert the study, and its patient unless that is there.

    None if somebody else made the one, or removed the other, in between.
    """
    common = {"area_pk": area_pk, "created_at": record.received_at}
    values = rows.patient_values(record.header) | common
    patient_pk = made_patient_pk = _made(_insert_patient.run(connection, values))
    if patient_pk is None:
        found = _find_patient.run(connection, {"area": area_pk, "key": values["patient_key"]}).rows
        if not found:
            return None
        patient_pk = found[0][0]
    values = rows.study_values(record) | common | {"patient_pk": patient_pk}
    study_pk = _made(_insert_study.run(connection, values))
    if study_pk is None:  # somebody else was first, perhaps with another patient
        remove.drop_patient_if_empty(connection, patient_pk)
        return None
    change.number_of_studies += 1
    _insert_study_usage.run(connection, {"of_study": study_pk, "of_area": area_pk, "now": record.received_at})
    if made_patient_pk is None:
        note_patient(connection, area_pk, record, patient_pk)
    return _Study(study_pk, record.study_fingerprint)


def _make_series(
    connection: Connection, area_pk: int, study: _Study, record: Record, change: UsageChange
) -> Parents | None:
    """Insert the series; None if it was made, or the study removed, in between.

    The study's usage row is locked first, so that it is one at a time for a study.
    """
    study_pk = study.pk
    if _count_series_in_study.run(connection, {"pk": study_pk, "added": 1}).rowcount == 0:
        return None
    of_study = {"area_pk": area_pk, "study_pk": study_pk, "created_at": record.received_at}
    values = rows.series_values(record) | of_study
    series_pk = _made(_insert_series.run(connection, values))
    if series_pk is None:  # somebody else was first
        _count_series_in_study.run(connection, {"pk": study_pk, "added": -1})
        return None
    change.number_of_series += 1
    requests = rows.request_values(record.header)
    if requests:
        connection.execute(insert(series_requests), [request | {"series_pk": series_pk} for request in requests])
    usage.summarize_study(connection, study_pk)
    return Parents(study_pk, series_pk, study.fingerprint, record.series_fingerprint, values["modality"])
