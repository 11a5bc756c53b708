"""What has happened, as tables: who associated, what was asked for and answered, what was received on which day.

The rows of an association are written by the worker that serves it, about once a second (see `lifecycle/recorder.py`),
and deleted after a while; what was received by day stays. They name areas and titles by text, since they outlive them.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Integer,
    Numeric,
    SmallInteger,
    Table,
    text,
)

from archive.database.metadata import BinaryText, Key, Timestamp, metadata


def _counter(name: str) -> Column:
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


def _seconds(name: str) -> Column:
    return Column(name, Numeric(asdecimal=False), nullable=False)


associations = Table(
    "associations",
    metadata,
    # An association that somebody asked us for, let in or not.
    Column("pk", Key, primary_key=True),
    Column("began_at", Timestamp, nullable=False),
    Column("ended_at", Timestamp),
    # The process that served it.
    Column("node", BinaryText, nullable=False),
    Column("worker", SmallInteger, nullable=False),
    Column("called_ae_title", BinaryText, nullable=False),
    Column("calling_ae_title", BinaryText, nullable=False),
    Column("peer_host", BinaryText, nullable=False),
    Column("implementation_version_name", BinaryText),
    Column("area", BinaryText),
    # How it ended, or stands.
    Column(
        "outcome",
        BinaryText,
        CheckConstraint(
            "outcome IN ('open', 'released', 'aborted', 'rejected', 'closed', 'failed', 'lost')", name="outcome"
        ),
        nullable=False,
    ),
    # Of an A-ASSOCIATE-RJ: result/source/reason (PS3.8 table 9-21).
    Column("rejection", BinaryText),
    # What it asked for in presentation contexts and may not do, separated by commas.
    Column("refused_operations", BinaryText),
    Column("refused_because", BinaryText),
    # Why it was rejected, or ended otherwise than by a release.
    Column("reason", BinaryText),
    # Refusals that are alike in all columns above and came within a second or so share a row.
    _counter("number_of_requests"),
    Column("contexts_accepted", Integer),
    Column("contexts_refused", Integer),
    _counter("number_of_operations"),
    # On the wire, all headers included.
    _counter("received_bytes"),
    _counter("sent_bytes"),
    sqlite_autoincrement=True,
)

operations = Table(
    "operations",
    metadata,
    # What was asked for within an association: a query or retrieve each; stores and echoes with one status together.
    Column("pk", Key, primary_key=True),
    Column("association_pk", Key, ForeignKey("associations.pk", ondelete="CASCADE"), nullable=False),
    Column("operation", BinaryText, nullable=False),
    Column("began_at", Timestamp, nullable=False),
    Column("ended_at", Timestamp, nullable=False),
    _counter("number_of_requests"),
    Column("information_model", BinaryText),
    Column("level", BinaryText),
    Column("move_destination", BinaryText),
    # Four hexadecimal digits; NULL if the association ended before the answer.
    Column("status", BinaryText),
    Column("error_comment", BinaryText),
    # Of a C-FIND.
    Column("number_of_matches", BigInteger),
    # Of a C-MOVE or C-GET.
    Column("sub_operations_completed", BigInteger),
    Column("sub_operations_failed", BigInteger),
    Column("sub_operations_warning", BigInteger),
    # Of C-STOREs: those whose instance was here already.
    Column("number_replaced", BigInteger),
    Column("number_kept", BigInteger),
    # Data sets received by stores, or sent by retrieves.
    Column("size_bytes", BigInteger),
    _seconds("duration_seconds"),
    _seconds("longest_seconds"),
    sqlite_autoincrement=True,
)

received_by_day = Table(
    "received_by_day",
    metadata,
    # What was taken in on a day (UTC), whatever became of it since.
    Column("day", Date, primary_key=True),
    Column("area", BinaryText, primary_key=True),
    Column("source_ae_title", BinaryText, primary_key=True),
    # Empty where the series has none.
    Column("modality", BinaryText, primary_key=True),
    _counter("number_of_instances"),
    _counter("size_bytes"),
)
