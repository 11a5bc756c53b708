"""The reports: views for people who write SQL, the same columns with the same meaning on both databases.

Each is defined once, here. The migrations hold its text as it was when they were released, and a test proves that both
give the same view. A view that has been released keeps its columns; one that has to change gets a successor, `..._v2`.
They are made and dropped with the tables, so that `metadata.create_all` makes what the migrations make.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, TableClause, column, event, table
from sqlalchemy.engine import Dialect

from archive.database.metadata import metadata
from archive.index import report_queries
from archive.index.report_queries import Query


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

    @property
    def never_null(self) -> frozenset[str]:
        """Those of the columns that come from columns without NULL."""
        selected = self.query.selected_columns
        return frozenset(each.name for each in selected if isinstance(each, Column) and not each.nullable)

    def as_table(self) -> TableClause:
        """The view, to select from."""
        return table(self.view, *(column(each.name, each.type) for each in self.query.selected_columns))

    def text(self, dialect: Dialect) -> str:
        """The query of the view in the SQL of a database."""
        compiled = self.query.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
        return "\n".join(line.rstrip() for line in str(compiled).splitlines())


_NEWEST = (("at", True), ("association_pk", True), ("event", False))

_ACCESS = Report(
    "access",
    "The access log: associations, operations, refusals.",
    report_queries.select_access(),
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
            report_queries.select_studies(),
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
            report_queries.select_storage(),
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
            report_queries.select_received(),
            (("day", True), ("area", False), ("modality", False), ("source_ae_title", False)),
            moment="day",
            chart=Chart("day", "number_of_instances", is_series=True),
        ),
        Report(
            "peers",
            "Peers and strangers, and when they last called.",
            report_queries.select_peers_and_contacts(),
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
            report_queries.select_associations(),
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
            report_queries.select_refusals(_ACCESS.as_table()),
            _NEWEST,
            moment="at",
            chart=Chart("calling_ae_title", "number"),
        ),
        Report(
            "evictions",
            "What quotas have taken.",
            report_queries.select_evictions(),
            (("evicted_at", True),),
            moment="evicted_at",
            chart=Chart("area", "size_bytes"),
        ),
        Report(
            "disagreements",
            "Instances that contradict their study.",
            report_queries.select_disagreements(),
            (("last_at", True),),
            moment="last_at",
            chart=Chart("keyword", "number_of_instances"),
        ),
        Report(
            "duplicates",
            "Instances that were here already, by day and sender.",
            report_queries.select_duplicates(),
            (("day", True), ("area", False), ("calling_ae_title", False)),
            moment="day",
            chart=Chart("calling_ae_title", "number_replaced"),
        ),
        Report(
            "slow-operations",
            "Operations that took a second or longer.",
            report_queries.select_slow_operations(),
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
