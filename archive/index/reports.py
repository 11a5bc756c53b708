"""The reports: views for people who write SQL, the same columns with the same meaning on both databases.

Each is defined once, here. The migrations hold its text as it was when they were released, and a test proves that both
give the same view. A view that has been released keeps its columns; one that has to change gets a successor, `..._v2`.
They are made and dropped with the tables, so that `metadata.create_all` makes what the migrations make.
"""

from collections.abc import Sequence
from dataclasses import dataclass
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
    event,
    func,
    literal,
    not_,
    null,
    select,
    table,
    true,
    union_all,
)
from sqlalchemy.engine import Dialect

from archive.database.dialects import day_of, seconds_between
from archive.database.metadata import BinaryText, Key, metadata
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


@dataclass(frozen=True, slots=True)
class Chart:
    """What of a report makes a picture: values by label; a label that comes twice is added up."""

    label: str
    value: str
    is_series: bool = False
    """Whether the labels are days, in a row, and not things beside each other."""


@dataclass(frozen=True, slots=True)
class Report:
    """A view: what it is called in SQL and on the command line, and what it shows."""

    name: str
    line: str
    """What it shows, for a list."""
    query: Query
    order: Sequence[tuple[str, bool]]
    """The order in which it reads well: columns, and whether descending."""
    brief: Sequence[str] = ()
    """The columns that fit on a screen; none is all."""
    moment: str | None = None
    """The column that `since` and `until` are about."""
    chart: Chart | None = None

    @property
    def view(self) -> str:
        """The name of the view."""
        return f"report_{self.name.replace('-', '_')}_v1"

    @property
    def columns(self) -> dict[str, ColumnElement[Any]]:
        """The columns of the view, with their types."""
        return dict(self.as_table().c.items())

    def as_table(self) -> TableClause:
        """The view, to select from."""
        return table(self.view, *(column(each.name, each.type) for each in self.query.selected_columns))

    def text(self, dialect: Dialect) -> str:
        """The query of the view in the SQL of a database."""
        compiled = self.query.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
        return "\n".join(line.rstrip() for line in str(compiled).splitlines())


def _sum(value: ColumnElement[Any]) -> ColumnElement[int]:
    return cast(func.coalesce(func.sum(value), 0), BigInteger)


def _is_failure(status: ColumnElement[Any]) -> ColumnElement[bool]:
    return and_(
        status.is_not(None),
        status.not_in(_NO_FAILURES),
        func.substr(status, 1, 1) != "B",
        func.substr(status, 1, 2) != "FF",
    )


def _studies() -> Query:
    name = func.coalesce(
        patients.c.patient_name_alphabetic, patients.c.patient_name_ideographic, patients.c.patient_name_phonetic
    )
    return (
        select(
            _areas.c.name.label("area"),
            studies.c.study_instance_uid,
            patients.c.patient_id,
            name.label("patient_name"),
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


def _storage() -> Query:
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


def _received() -> Query:
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


def _peers_and_contacts() -> Query:
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


def _associations() -> Query:
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


def _access() -> Query:
    """One row for each association, for what it asked for and was not let in for, and for its operations."""
    each, asked = associations.c, operations.c
    who = [each[name] for name in _WHO]
    nothing = cast(null(), Text)
    whole = select(
        each.began_at.label("at"),
        *who,
        literal("association").label("event"),
        nothing.label("detail"),
        each.outcome.label("outcome"),
        each.rejection.label("status"),
        each.outcome.in_(_REFUSED).label("is_refused"),
        each.number_of_requests.label("number"),
        (each.received_bytes + each.sent_bytes).label("size_bytes"),
        seconds_between(each.began_at, each.ended_at).label("duration_seconds"),
        each.reason,
        each.pk.label("association_pk"),
    )
    contexts = select(
        each.began_at,
        *who,
        literal("contexts"),
        each.refused_operations,
        literal("refused"),
        nothing,
        true(),
        cast(1, BigInteger),
        cast(null(), BigInteger),
        cast(null(), Numeric),
        each.refused_because,
        each.pk,
    ).where(each.refused_operations.is_not(None))
    destination = func.coalesce(literal(" to ") + asked.move_destination, "")
    outcome = case(
        (asked.status.is_(None), "unanswered"),
        (asked.status == "0000", "success"),
        (asked.status == "FE00", "cancelled"),
        (_is_failure(asked.status), "refused"),
        else_="warning",
    )
    served = select(
        asked.began_at,
        *who,
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
    ).join_from(operations, associations, each.pk == asked.association_pk)
    return union_all(whole, contexts, served)


def _refusals(access: Report) -> Query:
    view = access.as_table()
    dropped = ("is_refused", "size_bytes", "duration_seconds")
    return select(*(each for each in view.c if each.name not in dropped)).where(view.c.is_refused == true())


def _evictions() -> Query:
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


def _disagreements() -> Query:
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


def _duplicates() -> Query:
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


def _slow_operations() -> Query:
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


_NEWEST = (("at", True), ("association_pk", True), ("event", False))
_ACCESS = Report(
    "access",
    "The access log: associations, operations, refusals.",
    _access(),
    _NEWEST,
    (
        "at",
        "calling_ae_title",
        "called_ae_title",
        "peer_host",
        "event",
        "detail",
        "outcome",
        "status",
        "number",
        "size_bytes",
        "duration_seconds",
        "reason",
    ),
    "at",
)

# In the order in which they are made: one may read another.
REPORTS: dict[str, Report] = {
    report.name: report
    for report in (
        Report(
            "studies",
            "Studies with their counts and bytes.",
            _studies(),
            (("last_stored_at", True), ("study_instance_uid", False)),
            (
                "area",
                "patient_id",
                "patient_name",
                "study_date",
                "accession_number",
                "modalities_in_study",
                "number_of_instances",
                "size_bytes",
                "last_stored_at",
            ),
            "last_stored_at",
            Chart("area", "size_bytes"),
        ),
        Report(
            "storage",
            "Areas: what they hold, quota and headroom.",
            _storage(),
            (("area", False),),
            (
                "area",
                "number_of_studies",
                "number_of_instances",
                "size_bytes",
                "max_studies",
                "max_bytes",
                "headroom_studies",
                "headroom_bytes",
                "used_percent",
            ),
            chart=Chart("area", "size_bytes"),
        ),
        Report(
            "received",
            "What was received by day, modality, sender and area.",
            _received(),
            (("day", True), ("area", False), ("modality", False), ("source_ae_title", False)),
            moment="day",
            chart=Chart("day", "number_of_instances", is_series=True),
        ),
        Report(
            "peers",
            "Peers and strangers, and when they last called.",
            _peers_and_contacts(),
            (("last_contact_at", True), ("ae_title", False)),
            (
                "peer",
                "ae_title",
                "host",
                "last_contact_at",
                "last_accepted_at",
                "number_of_associations",
                "number_of_refusals",
                "received_bytes",
                "sent_bytes",
            ),
            "last_contact_at",
            Chart("ae_title", "number_of_associations"),
        ),
        Report(
            "associations",
            "Associations and how they ended.",
            _associations(),
            (("began_at", True), ("association_pk", True)),
            (
                "began_at",
                "duration_seconds",
                "calling_ae_title",
                "called_ae_title",
                "peer_host",
                "outcome",
                "number_of_operations",
                "received_bytes",
                "sent_bytes",
                "reason",
            ),
            "began_at",
        ),
        _ACCESS,
        Report(
            "refusals",
            "What was refused to whom, and why.",
            _refusals(_ACCESS),
            _NEWEST,
            moment="at",
            chart=Chart("calling_ae_title", "number"),
        ),
        Report(
            "evictions",
            "What quotas have taken.",
            _evictions(),
            (("evicted_at", True),),
            moment="evicted_at",
            chart=Chart("area", "size_bytes"),
        ),
        Report(
            "disagreements",
            "Instances that contradict their study.",
            _disagreements(),
            (("last_at", True),),
            moment="last_at",
            chart=Chart("keyword", "number_of_instances"),
        ),
        Report(
            "duplicates",
            "Instances that were here already, by day and sender.",
            _duplicates(),
            (("day", True), ("area", False), ("calling_ae_title", False)),
            moment="day",
            chart=Chart("calling_ae_title", "number_replaced"),
        ),
        Report(
            "slow-operations",
            "Operations that took a second or longer.",
            _slow_operations(),
            (("longest_seconds", True),),
            (
                "began_at",
                "calling_ae_title",
                "operation",
                "level",
                "status",
                "number_of_requests",
                "number_of_matches",
                "sub_operations_completed",
                "size_bytes",
                "longest_seconds",
            ),
            "began_at",
            Chart("operation", "duration_seconds"),
        ),
    )
}


def create_statement(report: Report, dialect: Dialect) -> str:
    """The CREATE VIEW of a report."""
    return f"CREATE VIEW {report.view} AS\n{report.text(dialect)}"


def _create_all(_target: object, connection: Any, **_: Any) -> None:
    for report in REPORTS.values():
        connection.exec_driver_sql(create_statement(report, connection.dialect))


def _drop_all(_target: object, connection: Any, **_: Any) -> None:
    for report in reversed(REPORTS.values()):
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {report.view}")


event.listen(metadata, "after_create", _create_all)
event.listen(metadata, "before_drop", _drop_all)
