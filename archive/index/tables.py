"""What the archive holds, as tables: patients, studies, series, instances, and the books kept beside them.

Every row belongs to a storage area. The columns of an attribute follow one rule (see `dicom/attributes.py`): the
keyword in snake_case; beside a typed date, time or number its raw text in `<column>_text`; a person name in its three
component groups, each with the folded form that is searched. What has no column lies in `rest`: a deflated data set
(Explicit VR Little Endian, PS3.5 A.5) in the character set named in `specific_character_set`.
Their indexes are in `index/indexes.py`.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Integer,
    LargeBinary,
    Numeric,
    SmallInteger,
    Table,
    Time,
    UniqueConstraint,
    text,
)

from archive.database.metadata import BinaryText, Key, Timestamp, metadata

NAME_GROUPS = ("alphabetic", "ideographic", "phonetic")  # PS3.5 6.2.1.2


def _person_name(column: str) -> list[Column]:
    """The six columns of a person name: each component group as received, and folded for searching."""
    groups = [f"{column}_{group}" for group in NAME_GROUPS]
    return [Column(name, BinaryText) for name in groups] + [Column(f"{name}_folded", BinaryText) for name in groups]


def _date(column: str) -> list[Column]:
    return [Column(column, Date), Column(f"{column}_text", BinaryText)]


def _time(column: str) -> list[Column]:
    return [Column(column, Time), Column(f"{column}_text", BinaryText)]


def _integer(column: str) -> list[Column]:
    return [Column(column, BigInteger), Column(f"{column}_text", BinaryText)]


def _decimal(column: str) -> list[Column]:
    return [Column(column, Numeric(asdecimal=False)), Column(f"{column}_text", BinaryText)]


def _text(*columns: str) -> list[Column]:
    return [Column(name, BinaryText) for name in columns]


def _counter(name: str) -> Column:
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


def _area() -> Column:
    return Column("area_pk", Key, ForeignKey("storage_areas.pk"), nullable=False)


def _remaining_header() -> list[Column]:
    return [Column("specific_character_set", BinaryText), Column("rest", LargeBinary)]


patients = Table(
    "patients",
    metadata,
    Column("pk", Key, primary_key=True),
    _area(),
    # What makes a patient one: Patient ID and its issuer, or, where there is no ID, the study (see rows.patient_key).
    Column("patient_key", BinaryText, nullable=False),
    *_text("patient_id", "issuer_of_patient_id"),
    *_person_name("patient_name"),
    *_date("patient_birth_date"),
    *_time("patient_birth_time"),
    *_text("patient_sex", "other_patient_ids"),
    *_person_name("other_patient_names"),
    *_text("ethnic_group", "patient_comments"),
    *_remaining_header(),
    Column("norm_version", SmallInteger, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    UniqueConstraint("area_pk", "patient_key"),
    sqlite_autoincrement=True,
)

studies = Table(
    "studies",
    metadata,
    Column("pk", Key, primary_key=True),
    _area(),
    Column("patient_pk", Key, ForeignKey("patients.pk"), nullable=False),
    Column("study_instance_uid", BinaryText, nullable=False),
    *_date("study_date"),
    *_time("study_time"),
    *_text("accession_number", "study_id"),
    *_person_name("referring_physician_name"),
    *_text("study_description"),
    *_person_name("name_of_physicians_reading_study"),
    *_text("other_study_numbers", "admitting_diagnoses_description"),
    *_text("patient_age"),
    *_decimal("patient_size"),
    *_decimal("patient_weight"),
    *_text("occupation", "additional_patient_history"),
    # Backslash-separated, sorted; kept by every store and removal.
    *_text("modalities_in_study", "sop_classes_in_study"),
    *_remaining_header(),
    # Of the patient's and the study's columns in the first instance: a later instance that differs is looked at.
    Column("fingerprint", LargeBinary, nullable=False),
    Column("norm_version", SmallInteger, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    UniqueConstraint("area_pk", "study_instance_uid"),
    sqlite_autoincrement=True,
)

study_usage = Table(
    "study_usage",
    metadata,
    # What every store changes of a study, apart from the wide row with its many indexes.
    Column("study_pk", Key, ForeignKey("studies.pk"), primary_key=True, autoincrement=False),
    Column("area_pk", Key, nullable=False),
    _counter("number_of_series"),
    _counter("number_of_instances"),
    _counter("size_bytes"),
    Column("last_stored_at", Timestamp, nullable=False),
    # Pinned: never evicted, by nobody. Evictable: its area evicts, and the study is not pinned.
    Column("is_pinned", Boolean, nullable=False, server_default=text("false")),
    Column("is_evictable", Boolean, nullable=False, server_default=text("false")),
)

series = Table(
    "series",
    metadata,
    Column("pk", Key, primary_key=True),
    Column("area_pk", Key, nullable=False),  # its study's
    Column("study_pk", Key, ForeignKey("studies.pk"), nullable=False),
    Column("series_instance_uid", BinaryText, nullable=False),
    *_text("modality"),
    *_integer("series_number"),
    *_date("series_date"),
    *_time("series_time"),
    *_text("series_description", "body_part_examined", "protocol_name", "laterality"),
    *_text("station_name", "institution_name", "manufacturer"),
    *_date("performed_procedure_step_start_date"),
    *_time("performed_procedure_step_start_time"),
    *_person_name("performing_physician_name"),
    *_person_name("operators_name"),
    *_text("sop_classes"),
    _counter("number_of_instances"),
    _counter("size_bytes"),
    *_remaining_header(),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("norm_version", SmallInteger, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    # Also: the series of a study.
    UniqueConstraint("study_pk", "series_instance_uid"),
    sqlite_autoincrement=True,
)

series_requests = Table(
    "series_requests",
    metadata,
    # One item of Request Attributes Sequence (0040,0275).
    Column("pk", Key, primary_key=True),
    Column("series_pk", Key, ForeignKey("series.pk", ondelete="CASCADE"), nullable=False),
    *_text("requested_procedure_id", "scheduled_procedure_step_id"),
    *_text("requested_procedure_description", "scheduled_procedure_step_description"),
    *_text("accession_number", "study_instance_uid"),
)

instances = Table(
    "instances",
    metadata,
    Column("pk", Key, primary_key=True),
    # Its series' area and study: only the series is a foreign key, since each one is a lock taken by every store.
    Column("area_pk", Key, nullable=False),
    Column("study_pk", Key, nullable=False),
    Column("series_pk", Key, ForeignKey("series.pk"), nullable=False),
    Column("sop_instance_uid", BinaryText, nullable=False),
    Column("sop_class_uid", BinaryText, nullable=False),
    Column("transfer_syntax_uid", BinaryText, nullable=False),
    *_integer("instance_number"),
    *_date("content_date"),
    *_time("content_time"),
    Column("rows", Integer),
    Column("columns", Integer),
    *_integer("number_of_frames"),
    # Where the bytes lie: relative to the area's path; the data set begins behind the File Meta Information. NULL: they
    # are in `unfiled_instances` still.
    Column("path", BinaryText),
    Column("size_bytes", BigInteger, nullable=False),
    Column("data_set_offset", Integer, nullable=False),
    # XXH3-128 of the whole file; NULL for what was indexed in place and not read whole yet.
    Column("checksum", LargeBinary),
    Column("source_ae_title", BinaryText, nullable=False),
    Column("received_at", Timestamp, nullable=False),
    *_remaining_header(),
    # Is this instance here already? The one probe of a store.
    UniqueConstraint("area_pk", "sop_instance_uid"),
    # Never the key of another: whoever filed, or looked for, an instance that was replaced must not meet its successor.
    sqlite_autoincrement=True,
)

unfiled_instances = Table(
    "unfiled_instances",
    metadata,
    # Small instances that have no file yet: the whole of it, File Meta Information first. Housekeeping makes the file.
    Column("instance_pk", Key, ForeignKey("instances.pk", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
)

area_usage = Table(
    "area_usage",
    metadata,
    # What an area holds is the sum over its shards: writers on different shards do not wait for each other.
    Column("area_pk", Key, ForeignKey("storage_areas.pk", ondelete="CASCADE"), primary_key=True),
    Column("shard", SmallInteger, primary_key=True),
    _counter("number_of_studies"),
    _counter("number_of_series"),
    _counter("number_of_instances"),
    _counter("size_bytes"),
)

deletions = Table(
    "deletions",
    metadata,
    # Files whose last row is gone; housekeeping unlinks them and then drops the row here.
    Column("pk", Key, primary_key=True),
    _area(),
    Column("path", BinaryText, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column(
        "reason",
        BinaryText,
        CheckConstraint("reason IN ('replaced', 'removed', 'evicted')", name="reason"),
        nullable=False,
    ),
    Column("queued_at", Timestamp, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("last_error", BinaryText),
    sqlite_autoincrement=True,
)

evictions = Table(
    "evictions",
    metadata,
    # What a quota has taken: a whole study, or the oldest instances of one that grew too large.
    Column("pk", Key, primary_key=True),
    _area(),
    Column("study_instance_uid", BinaryText, nullable=False),
    Column("patient_id", BinaryText),
    Column("is_whole_study", Boolean, nullable=False),
    Column("number_of_instances", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column(
        "reason",
        BinaryText,
        CheckConstraint(
            "reason IN ('max_studies', 'max_study_bytes', 'max_bytes', 'max_age_days', 'min_free_bytes')",
            name="reason",
        ),
        nullable=False,
    ),
    # The instance that needed the room, and who sent it; NULL where none was coming.
    Column("caused_by_sop_instance_uid", BinaryText),
    Column("caused_by_ae_title", BinaryText),
    Column("evicted_at", Timestamp, nullable=False),
    sqlite_autoincrement=True,
)

housekeeping = Table(
    "housekeeping",
    metadata,
    # One row: the node that does what is to be done once for all nodes, and how its last round went.
    Column("pk", Integer, primary_key=True, autoincrement=False),
    # Host and port of the service.
    Column("node", BinaryText, nullable=False),
    Column("elected_at", Timestamp, nullable=False),
    # Until then nobody else may take its place; it says so again and again. By the clock of the database.
    Column("lease_until", Timestamp, nullable=False),
    Column("last_round_at", Timestamp),
    Column("last_round_seconds", Numeric(asdecimal=False)),
    # What made a round end early.
    Column("last_error", BinaryText),
    Column("last_error_at", Timestamp),
)

housekeeping_errors = Table(
    "housekeeping_errors",
    metadata,
    # What went wrong the last time in an area, by what was tried there.
    Column("area_pk", Key, ForeignKey("storage_areas.pk", ondelete="CASCADE"), primary_key=True),
    Column(
        "work",
        BinaryText,
        CheckConstraint("work IN ('file', 'evict', 'unlink')", name="work"),
        primary_key=True,
    ),
    Column("error", BinaryText, nullable=False),
    Column("last_at", Timestamp, nullable=False),
    # Whether it went well since.
    Column("is_mended", Boolean, nullable=False, server_default=text("false")),
)

disagreements = Table(
    "disagreements",
    metadata,
    # An instance whose patient, study or series values differ from those held, which the first instance set.
    Column("pk", Key, primary_key=True),
    _area(),
    Column(
        "level", BinaryText, CheckConstraint("level IN ('PATIENT', 'STUDY', 'SERIES')", name="level"), nullable=False
    ),
    Column("study_instance_uid", BinaryText, nullable=False),
    Column("series_instance_uid", BinaryText, nullable=False),
    Column("keyword", BinaryText, nullable=False),
    Column("held", BinaryText, nullable=False),
    Column("received", BinaryText, nullable=False),
    # The first instance that said so, and how many did.
    Column("sop_instance_uid", BinaryText, nullable=False),
    Column("number_of_instances", BigInteger, nullable=False),
    Column("first_at", Timestamp, nullable=False),
    Column("last_at", Timestamp, nullable=False),
    UniqueConstraint(
        "area_pk",
        "study_instance_uid",
        "series_instance_uid",
        "keyword",
        "received",
        name="uq_disagreements_received",  # by the convention it would be longer than PostgreSQL's 63 characters
    ),
    sqlite_autoincrement=True,
)
