"""What each report selects, in SQL for both databases; `reports` makes views of them."""

from typing import Any, TypeAlias

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Numeric,
    TableClause,
    Text,
    and_,
    case,
    cast,
    column,
    func,
    literal,
    not_,
    null,
    select,
    table,
    true,
    union_all,
)

from archive.database.dialects import day_of, seconds_between
from archive.database.metadata import BinaryText, Key
from archive.index import columns
from archive.index.activity_tables import associations, operations, received_by_day
from archive.index.tables import (
    area_usage,
    deletions,
    disagreements,
    evictions,
    patients,
    studies,
    study_usage,
)

Query: TypeAlias = Any  # a SELECT, or several in a UNION, of as many types as it has columns

# What is read of the registry's tables (see registry/tables.py).
_LIMITS = ("max_studies", "max_study_bytes", "max_bytes", "max_age_days", "min_free_bytes")

_areas = table(
    "storage_areas",
    column("pk", Key),
    column("name", BinaryText),
    column("on_full", BinaryText),
    *(column(name, BigInteger) for name in _LIMITS),
)

_peers = table(
    "peers",
    column("pk", Key),
    column("name", BinaryText),
    column("ae_title", BinaryText),
    column("host", BinaryText),
    column("port", Integer),
)

_NUMBER = Numeric(asdecimal=False)

# Operations that took this long, one of them at least.
SLOW_SECONDS = 1

# No failure: success, cancel, and the warnings that are not Bxxx (PS3.7 annex C).
_NO_FAILURES = ("0000", "FE00", "0001", "0107", "0116")

# What is rejected before an association exists.
_REFUSED = ("rejected", "closed")


def _sum(value: ColumnElement[Any]) -> ColumnElement[int]:
    return cast(func.coalesce(func.sum(value), 0), BigInteger)


def _is_failure(status: ColumnElement[Any]) -> ColumnElement[bool]:
    return and_(
        status.is_not(None),
        status.not_in(_NO_FAILURES),
        func.substr(status, 1, 1) != "B",
        func.substr(status, 1, 2) != "FF",
    )


def select_studies() -> Query:
    return (
        select(
            _areas.c.name.label("area"),
            studies.c.study_instance_uid,
            patients.c.patient_id,
            columns.PATIENT_NAME.label("patient_name"),
            studies.c.study_date,
            studies.c.accession_number,
            studies.c.study_description,
            studies.c.modalities_in_study,
            study_usage.c.number_of_series,
            study_usage.c.number_of_instances,
            study_usage.c.size_bytes,
            studies.c.created_at.label("first_stored_at"),
            study_usage.c.last_stored_at,
            study_usage.c.is_pinned,
        )
        .select_from(studies)
        .join(study_usage, study_usage.c.study_pk == studies.c.pk)
        .join(patients, patients.c.pk == studies.c.patient_pk)
        .join(_areas, _areas.c.pk == studies.c.area_pk)
    )


def select_storage() -> Query:
    counters = ("number_of_studies", "number_of_series", "number_of_instances", "size_bytes")
    held = (
        select(area_usage.c.area_pk, *(_sum(area_usage.c[name]).label(name) for name in counters))
        .group_by(area_usage.c.area_pk)
        .subquery("held")
    )
    waiting = (
        select(
            deletions.c.area_pk,
            func.count().label("files"),
            _sum(deletions.c.size_bytes).label("size_bytes"),
        )
        .group_by(deletions.c.area_pk)
        .subquery("waiting")
    )
    counted = {name: func.coalesce(held.c[name], 0) for name in counters}
    percent = func.round(cast(100 * counted["size_bytes"], _NUMBER) / _areas.c.max_bytes, 1, type_=_NUMBER)
    return select(
        _areas.c.name.label("area"),
        *(value.label(name) for name, value in counted.items()),
        *(_areas.c[name] for name in _LIMITS),
        _areas.c.on_full,
        (_areas.c.max_studies - counted["number_of_studies"]).label("headroom_studies"),
        (_areas.c.max_bytes - counted["size_bytes"]).label("headroom_bytes"),
        percent.label("used_percent"),
        func.coalesce(waiting.c.files, 0).label("files_to_unlink"),
        func.coalesce(waiting.c.size_bytes, 0).label("bytes_to_unlink"),
    ).select_from(
        _areas.outerjoin(held, held.c.area_pk == _areas.c.pk).outerjoin(waiting, waiting.c.area_pk == _areas.c.pk)
    )


def select_received() -> Query:
    each = received_by_day.c
    return select(
        each.day,
        each.area,
        func.nullif(each.modality, "", type_=Text).label("modality"),
        each.source_ae_title,
        each.number_of_instances,
        each.size_bytes,
    )


def _contacts() -> list[ColumnElement[Any]]:
    each = associations.c
    was_refused = each.outcome.in_(_REFUSED)
    return [
        func.min(each.began_at).label("first_contact_at"),
        func.max(each.began_at).label("last_contact_at"),
        func.max(case((not_(was_refused), each.began_at))).label("last_accepted_at"),
        _sum(case((not_(was_refused), each.number_of_requests), else_=0)).label("number_of_associations"),
        _sum(case((was_refused, each.number_of_requests), else_=0)).label("number_of_refusals"),
        _sum(each.received_bytes).label("received_bytes"),
        _sum(each.sent_bytes).label("sent_bytes"),
    ]


def select_peers_and_contacts() -> Query:
    each, peer = associations.c, _peers.c
    known = (
        select(peer.name.label("peer"), peer.ae_title, peer.host, peer.port, *_contacts())
        .select_from(_peers.outerjoin(associations, each.calling_ae_title == peer.ae_title))
        .group_by(peer.pk, peer.name, peer.ae_title, peer.host, peer.port)
    )
    strangers = (
        select(
            cast(null(), Text).label("peer"),
            each.calling_ae_title.label("ae_title"),
            each.peer_host.label("host"),
            cast(null(), Integer).label("port"),
            *_contacts(),
        )
        .where(each.calling_ae_title != "", each.calling_ae_title.not_in(select(peer.ae_title)))
        .group_by(each.calling_ae_title, each.peer_host)
    )
    return union_all(known, strangers)


def select_associations() -> Query:
    each = associations.c
    return select(
        each.began_at,
        each.ended_at,
        seconds_between(each.began_at, each.ended_at).label("duration_seconds"),
        each.calling_ae_title,
        each.called_ae_title,
        each.peer_host,
        each.area,
        each.outcome,
        each.rejection,
        each.refused_operations,
        each.refused_because,
        each.reason,
        each.number_of_requests,
        each.contexts_accepted,
        each.contexts_refused,
        each.number_of_operations,
        each.received_bytes,
        each.sent_bytes,
        each.implementation_version_name,
        each.node,
        each.worker,
        each.pk.label("association_pk"),
    )


_WHO = ("calling_ae_title", "called_ae_title", "peer_host", "area")


def select_access() -> Query:
    """One row for each association, for what it asked for and was not let in for, and for its operations."""
    return union_all(_whole_associations(), _refused_contexts(), _served_operations())


def _who() -> list[ColumnElement[Any]]:
    return [associations.c[name] for name in _WHO]


def _whole_associations() -> Query:
    each = associations.c
    return select(
        each.began_at.label("at"),
        *_who(),
        literal("association").label("event"),
        cast(null(), Text).label("detail"),
        each.outcome.label("outcome"),
        each.rejection.label("status"),
        each.outcome.in_(_REFUSED).label("is_refused"),
        each.number_of_requests.label("number"),
        (each.received_bytes + each.sent_bytes).label("size_bytes"),
        seconds_between(each.began_at, each.ended_at).label("duration_seconds"),
        each.reason,
        each.pk.label("association_pk"),
    )


def _refused_contexts() -> Query:
    each = associations.c
    return select(
        each.began_at,
        *_who(),
        literal("contexts"),
        each.refused_operations,
        literal("refused"),
        cast(null(), Text),
        true(),
        cast(1, BigInteger),
        cast(null(), BigInteger),
        cast(null(), Numeric),
        each.refused_because,
        each.pk,
    ).where(each.refused_operations.is_not(None))


def _served_operations() -> Query:
    asked = operations.c
    destination = func.coalesce(literal(" to ") + asked.move_destination, "")
    outcome = case(
        (asked.status.is_(None), "unanswered"),
        (asked.status == "0000", "success"),
        (asked.status == "FE00", "cancelled"),
        (_is_failure(asked.status), "refused"),
        else_="warning",
    )
    return select(
        asked.began_at,
        *_who(),
        asked.operation,
        func.nullif(func.coalesce(asked.level, "") + destination, ""),
        outcome,
        asked.status,
        _is_failure(asked.status),
        asked.number_of_requests,
        asked.size_bytes,
        asked.duration_seconds,
        asked.error_comment,
        asked.association_pk,
    ).join_from(operations, associations, associations.c.pk == asked.association_pk)


def select_refusals(access_log: TableClause) -> Query:
    dropped = ("is_refused", "size_bytes", "duration_seconds")
    return select(*(each for each in access_log.c if each.name not in dropped)).where(access_log.c.is_refused == true())


def select_evictions() -> Query:
    each = evictions.c
    return select(
        each.evicted_at,
        _areas.c.name.label("area"),
        each.study_instance_uid,
        each.patient_id,
        each.is_whole_study,
        each.number_of_instances,
        each.size_bytes,
        each.reason,
        each.caused_by_sop_instance_uid,
    ).join_from(evictions, _areas, _areas.c.pk == each.area_pk)


def select_disagreements() -> Query:
    each = disagreements.c
    return select(
        _areas.c.name.label("area"),
        each.level,
        each.study_instance_uid,
        func.nullif(each.series_instance_uid, "", type_=Text).label("series_instance_uid"),
        each.keyword,
        each.held,
        each.received,
        each.sop_instance_uid,
        each.number_of_instances,
        each.first_at,
        each.last_at,
    ).join_from(disagreements, _areas, _areas.c.pk == each.area_pk)


def select_duplicates() -> Query:
    each, asked = associations.c, operations.c
    day = day_of(asked.began_at)
    replaced, kept = _sum(asked.number_replaced), _sum(asked.number_kept)
    rejected = _sum(case((asked.status == "0111", asked.number_of_requests), else_=0))
    return (
        select(
            day.label("day"),
            each.area,
            each.calling_ae_title,
            _sum(asked.number_of_requests).label("number_of_stores"),
            replaced.label("number_replaced"),
            kept.label("number_kept"),
            rejected.label("number_rejected"),
        )
        .join_from(operations, associations, each.pk == asked.association_pk)
        .where(asked.operation == "C-STORE")
        .group_by(day, each.area, each.calling_ae_title)
        .having(replaced + kept + rejected > 0)
    )


def select_slow_operations() -> Query:
    each, asked = associations.c, operations.c
    is_timed = and_(asked.size_bytes > 0, asked.duration_seconds > 0)
    speed = case((is_timed, cast(asked.size_bytes / asked.duration_seconds, BigInteger)))
    return (
        select(
            asked.began_at,
            each.calling_ae_title,
            each.called_ae_title,
            each.area,
            asked.operation,
            asked.information_model,
            asked.level,
            asked.move_destination,
            asked.status,
            asked.number_of_requests,
            asked.number_of_matches,
            asked.sub_operations_completed,
            asked.size_bytes,
            asked.duration_seconds,
            asked.longest_seconds,
            speed.label("bytes_per_second"),
            asked.association_pk,
        )
        .join_from(operations, associations, each.pk == asked.association_pk)
        .where(asked.longest_seconds >= SLOW_SECONDS)
    )
