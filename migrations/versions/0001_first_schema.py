"""The first schema: registry, holdings and the books kept beside them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# As archive.database.metadata had them; a migration does not change when the code does.
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    _registry_and_holdings()
    if op.get_context().dialect.name == "postgresql":
        _trigrams()
        # Out of the row, as it is: to compress what is soon deleted again takes longer than to write it.
        op.execute("ALTER TABLE unfiled_instances ALTER COLUMN content SET STORAGE EXTERNAL")
    else:
        _statistics()


def _trigrams() -> None:
    """Indexes for a part of a name or description; pg_trgm is a trusted extension: the owner may create it."""
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    op.create_index(
        "ix_patients_patient_name_trigram",
        "patients",
        ["patient_name_alphabetic_folded"],
        postgresql_using="gin",
        postgresql_ops={"patient_name_alphabetic_folded": "gin_trgm_ops"},
    )
    op.create_index(
        "ix_studies_study_description_trigram",
        "studies",
        ["study_description"],
        postgresql_using="gin",
        postgresql_ops={"study_description": "gin_trgm_ops"},
    )


# Rows of the index, then rows for each value of its first column, of its first two, and so on: an archive of a million
# studies in one area. SQLite has no statistics before somebody says ANALYZE, and then takes an area for ten rows.
_ROWS = {
    ("patients", "sqlite_autoindex_patients_1"): "500000 500000 1",
    ("patients", "ix_patients_area_pk_patient_id"): "500000 500000 1",
    ("patients", "ix_patients_area_pk_patient_name_alphabetic_folded"): "500000 500000 2",
    ("patients", "ix_patients_area_pk_patient_name_ideographic_folded"): "5000 5000 2",
    ("patients", "ix_patients_area_pk_patient_name_phonetic_folded"): "5000 5000 2",
    ("studies", "sqlite_autoindex_studies_1"): "1000000 1000000 1",
    ("studies", "ix_studies_patient_pk"): "1000000 2",
    ("studies", "ix_studies_area_pk_study_date_pk"): "1000000 1000000 300 1",
    ("studies", "ix_studies_area_pk_accession_number"): "1000000 1000000 2",
    ("studies", "ix_studies_area_pk_study_id"): "1000000 1000000 5",
    ("studies", "ix_studies_area_pk_referring_physician_name_alphabetic_folded"): "1000000 1000000 500",
    ("studies", "ix_studies_area_pk_referring_physician_name_ideographic_folded"): "5000 5000 50",
    ("studies", "ix_studies_area_pk_referring_physician_name_phonetic_folded"): "5000 5000 50",
    ("study_usage", "ix_study_usage_area_pk_last_stored_at_study_pk"): "1000000 1000000 2 1",
    ("series", "sqlite_autoindex_series_1"): "4000000 4 1",
    ("series", "ix_series_area_pk_modality_study_pk"): "4000000 4000000 200000 4",
    ("series", "ix_series_area_pk_series_instance_uid"): "4000000 4000000 1",
    ("series_requests", "ix_series_requests_series_pk"): "4000000 1",
    ("series_requests", "ix_series_requests_requested_procedure_id"): "4000000 4",
    ("series_requests", "ix_series_requests_scheduled_procedure_step_id"): "4000000 4",
    ("instances", "sqlite_autoindex_instances_1"): "100000000 100000000 1",
    ("instances", "ix_instances_series_pk"): "100000000 25",
}


def _statistics() -> None:
    """Tell SQLite how rows spread over the indexes, so that its plans are those of a large archive from the start.

    It reads them when it opens the database (https://sqlite.org/optoverview.html, section 6.2.1); ANALYZE puts its own
    in their place.
    """
    op.execute("ANALYZE sqlite_schema")  # makes the table, and later reads it
    table = sa.table("sqlite_stat1", sa.column("tbl"), sa.column("idx"), sa.column("stat"))
    op.bulk_insert(table, [{"tbl": name, "idx": index, "stat": stat} for (name, index), stat in _ROWS.items()])
    op.execute("ANALYZE sqlite_schema")


def _registry_and_holdings() -> None:
    op.create_table(
        "peers",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("ae_title", TEXT, nullable=False),
        sa.Column("host", TEXT, nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_peers"),
        sa.CheckConstraint("port BETWEEN 1 AND 65535", name=op.f("ck_peers_port")),
        sa.UniqueConstraint("ae_title", "host", "port", name="uq_peers_ae_title_host_port"),
        sa.UniqueConstraint("name", name="uq_peers_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "registry_revision",
        sa.Column("pk", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_registry_revision"),
    )
    op.create_table(
        "storage_areas",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("durability", TEXT, nullable=False, server_default="full"),
        sa.Column("duplicates", TEXT, nullable=False, server_default="replace"),
        sa.Column("accept_unknown_sop_classes", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("strict_names", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("max_studies", sa.BigInteger()),
        sa.Column("max_study_bytes", sa.BigInteger()),
        sa.Column("max_bytes", sa.BigInteger()),
        sa.Column("max_age_days", sa.Integer()),
        sa.Column("min_free_bytes", sa.BigInteger()),
        sa.Column("on_full", TEXT, nullable=False, server_default="reject"),
        sa.Column("answer_limit", sa.Integer()),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_storage_areas"),
        sa.CheckConstraint("durability IN ('full', 'relaxed')", name=op.f("ck_storage_areas_durability")),
        sa.CheckConstraint("duplicates IN ('replace', 'keep', 'reject')", name=op.f("ck_storage_areas_duplicates")),
        *(
            sa.CheckConstraint(f"{limit} > 0", name=op.f(f"ck_storage_areas_{limit}"))
            for limit in ("max_studies", "max_study_bytes", "max_bytes", "min_free_bytes")
        ),
        sa.CheckConstraint("max_age_days BETWEEN 1 AND 36500", name=op.f("ck_storage_areas_max_age_days")),
        sa.CheckConstraint("on_full IN ('reject', 'evict')", name=op.f("ck_storage_areas_on_full")),
        sa.CheckConstraint("answer_limit > 0", name=op.f("ck_storage_areas_answer_limit")),
        sa.UniqueConstraint("name", name="uq_storage_areas_name"),
        sa.UniqueConstraint("path", name="uq_storage_areas_path"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "ae_titles",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("title", TEXT, nullable=False),
        sa.Column("area_pk", KEY, nullable=False),
        sa.Column("can_read", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("can_write", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_ae_titles"),
        sa.ForeignKeyConstraint(["area_pk"], ["storage_areas.pk"], name="fk_ae_titles_area_pk"),
        sa.UniqueConstraint("title", name="uq_ae_titles_title"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "area_usage",
        sa.Column("area_pk", KEY, nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("number_of_studies", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("number_of_series", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("number_of_instances", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("area_pk", "shard", name="pk_area_usage"),
        sa.ForeignKeyConstraint(["area_pk"], ["storage_areas.pk"], name="fk_area_usage_area_pk", ondelete="CASCADE"),
    )
    op.create_table(
        "deletions",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("area_pk", KEY, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("queued_at", TIMESTAMP, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("last_error", TEXT),
        sa.PrimaryKeyConstraint("pk", name="pk_deletions"),
        sa.CheckConstraint("reason IN ('replaced', 'removed', 'evicted')", name=op.f("ck_deletions_reason")),
        sa.ForeignKeyConstraint(["area_pk"], ["storage_areas.pk"], name="fk_deletions_area_pk"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "evictions",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("area_pk", KEY, nullable=False),
        sa.Column("study_instance_uid", TEXT, nullable=False),
        sa.Column("patient_id", TEXT),
        sa.Column("is_whole_study", sa.Boolean(), nullable=False),
        sa.Column("number_of_instances", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("caused_by_sop_instance_uid", TEXT),
        sa.Column("evicted_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_evictions"),
        sa.CheckConstraint(
            "reason IN ('max_studies', 'max_study_bytes', 'max_bytes', 'max_age_days', 'min_free_bytes')",
            name=op.f("ck_evictions_reason"),
        ),
        sa.ForeignKeyConstraint(["area_pk"], ["storage_areas.pk"], name="fk_evictions_area_pk"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_evictions_area_pk_evicted_at", "evictions", ["area_pk", "evicted_at"])
    op.create_table(
        "disagreements",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("area_pk", KEY, nullable=False),
        sa.Column("level", TEXT, nullable=False),
        sa.Column("study_instance_uid", TEXT, nullable=False),
        sa.Column("series_instance_uid", TEXT, nullable=False),
        sa.Column("keyword", TEXT, nullable=False),
        sa.Column("held", TEXT, nullable=False),
        sa.Column("received", TEXT, nullable=False),
        sa.Column("sop_instance_uid", TEXT, nullable=False),
        sa.Column("number_of_instances", sa.BigInteger(), nullable=False),
        sa.Column("first_at", TIMESTAMP, nullable=False),
        sa.Column("last_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_disagreements"),
        sa.CheckConstraint("level IN ('PATIENT', 'STUDY', 'SERIES')", name=op.f("ck_disagreements_level")),
        sa.ForeignKeyConstraint(["area_pk"], ["storage_areas.pk"], name="fk_disagreements_area_pk"),
        sa.UniqueConstraint(
            "area_pk",
            "study_instance_uid",
            "series_instance_uid",
            "keyword",
            "received",
            name="uq_disagreements_received",
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "patients",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("area_pk", KEY, nullable=False),
        sa.Column("patient_key", TEXT, nullable=False),
        sa.Column("patient_id", TEXT),
        sa.Column("issuer_of_patient_id", TEXT),
        sa.Column("patient_name_alphabetic", TEXT),
        sa.Column("patient_name_ideographic", TEXT),
        sa.Column("patient_name_phonetic", TEXT),
        sa.Column("patient_name_alphabetic_folded", TEXT),
        sa.Column("patient_name_ideographic_folded", TEXT),
        sa.Column("patient_name_phonetic_folded", TEXT),
        sa.Column("patient_birth_date", sa.Date()),
        sa.Column("patient_birth_date_text", TEXT),
        sa.Column("patient_birth_time", sa.Time()),
        sa.Column("patient_birth_time_text", TEXT),
        sa.Column("patient_sex", TEXT),
        sa.Column("other_patient_ids", TEXT),
        sa.Column("other_patient_names_alphabetic", TEXT),
        sa.Column("other_patient_names_ideographic", TEXT),
        sa.Column("other_patient_names_phonetic", TEXT),
        sa.Column("other_patient_names_alphabetic_folded", TEXT),
        sa.Column("other_patient_names_ideographic_folded", TEXT),
        sa.Column("other_patient_names_phonetic_folded", TEXT),
        sa.Column("ethnic_group", TEXT),
        sa.Column("patient_comments", TEXT),
        sa.Column("specific_character_set", TEXT),
        sa.Column("rest", sa.LargeBinary()),
        sa.Column("norm_version", sa.SmallInteger(), nullable=False),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_patients"),
        sa.ForeignKeyConstraint(["area_pk"], ["storage_areas.pk"], name="fk_patients_area_pk"),
        sa.UniqueConstraint("area_pk", "patient_key", name="uq_patients_area_pk_patient_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_patients_area_pk_patient_id", "patients", ["area_pk", "patient_id"])
    op.create_index(
        "ix_patients_area_pk_patient_name_alphabetic_folded", "patients", ["area_pk", "patient_name_alphabetic_folded"]
    )
    op.create_index(
        "ix_patients_area_pk_patient_name_ideographic_folded",
        "patients",
        ["area_pk", "patient_name_ideographic_folded"],
        sqlite_where=sa.text("patient_name_ideographic_folded IS NOT NULL"),
        postgresql_where=sa.text("patient_name_ideographic_folded IS NOT NULL"),
    )
    op.create_index(
        "ix_patients_area_pk_patient_name_phonetic_folded",
        "patients",
        ["area_pk", "patient_name_phonetic_folded"],
        sqlite_where=sa.text("patient_name_phonetic_folded IS NOT NULL"),
        postgresql_where=sa.text("patient_name_phonetic_folded IS NOT NULL"),
    )
    op.create_table(
        "access_rules",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("ae_title_pk", KEY, nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("peer_pk", KEY),
        sa.Column("calling_ae_title", TEXT),
        sa.Column("network", TEXT),
        sa.Column("can_echo", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("can_store", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("can_find", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("can_move", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("can_get", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_access_rules"),
        sa.CheckConstraint("action IN ('allow', 'deny')", name=op.f("ck_access_rules_action")),
        sa.CheckConstraint(
            "peer_pk IS NULL OR (calling_ae_title IS NULL AND network IS NULL)",
            name=op.f("ck_access_rules_who"),
        ),
        sa.ForeignKeyConstraint(
            ["ae_title_pk"], ["ae_titles.pk"], name="fk_access_rules_ae_title_pk", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["peer_pk"], ["peers.pk"], name="fk_access_rules_peer_pk", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_access_rules_ae_title_pk", "access_rules", ["ae_title_pk"])
    op.create_index("ix_access_rules_peer_pk", "access_rules", ["peer_pk"])
    op.create_table(
        "studies",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("area_pk", KEY, nullable=False),
        sa.Column("patient_pk", KEY, nullable=False),
        sa.Column("study_instance_uid", TEXT, nullable=False),
        sa.Column("study_date", sa.Date()),
        sa.Column("study_date_text", TEXT),
        sa.Column("study_time", sa.Time()),
        sa.Column("study_time_text", TEXT),
        sa.Column("accession_number", TEXT),
        sa.Column("study_id", TEXT),
        sa.Column("referring_physician_name_alphabetic", TEXT),
        sa.Column("referring_physician_name_ideographic", TEXT),
        sa.Column("referring_physician_name_phonetic", TEXT),
        sa.Column("referring_physician_name_alphabetic_folded", TEXT),
        sa.Column("referring_physician_name_ideographic_folded", TEXT),
        sa.Column("referring_physician_name_phonetic_folded", TEXT),
        sa.Column("study_description", TEXT),
        sa.Column("name_of_physicians_reading_study_alphabetic", TEXT),
        sa.Column("name_of_physicians_reading_study_ideographic", TEXT),
        sa.Column("name_of_physicians_reading_study_phonetic", TEXT),
        sa.Column("name_of_physicians_reading_study_alphabetic_folded", TEXT),
        sa.Column("name_of_physicians_reading_study_ideographic_folded", TEXT),
        sa.Column("name_of_physicians_reading_study_phonetic_folded", TEXT),
        sa.Column("other_study_numbers", TEXT),
        sa.Column("admitting_diagnoses_description", TEXT),
        sa.Column("patient_age", TEXT),
        sa.Column("patient_size", sa.Numeric()),
        sa.Column("patient_size_text", TEXT),
        sa.Column("patient_weight", sa.Numeric()),
        sa.Column("patient_weight_text", TEXT),
        sa.Column("occupation", TEXT),
        sa.Column("additional_patient_history", TEXT),
        sa.Column("modalities_in_study", TEXT),
        sa.Column("sop_classes_in_study", TEXT),
        sa.Column("specific_character_set", TEXT),
        sa.Column("rest", sa.LargeBinary()),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("norm_version", sa.SmallInteger(), nullable=False),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_studies"),
        sa.ForeignKeyConstraint(["area_pk"], ["storage_areas.pk"], name="fk_studies_area_pk"),
        sa.ForeignKeyConstraint(["patient_pk"], ["patients.pk"], name="fk_studies_patient_pk"),
        sa.UniqueConstraint("area_pk", "study_instance_uid", name="uq_studies_area_pk_study_instance_uid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_studies_area_pk_accession_number", "studies", ["area_pk", "accession_number"])
    op.create_index(
        "ix_studies_area_pk_referring_physician_name_alphabetic_folded",
        "studies",
        ["area_pk", "referring_physician_name_alphabetic_folded"],
    )
    op.create_index(
        "ix_studies_area_pk_referring_physician_name_ideographic_folded",
        "studies",
        ["area_pk", "referring_physician_name_ideographic_folded"],
        sqlite_where=sa.text("referring_physician_name_ideographic_folded IS NOT NULL"),
        postgresql_where=sa.text("referring_physician_name_ideographic_folded IS NOT NULL"),
    )
    op.create_index(
        "ix_studies_area_pk_referring_physician_name_phonetic_folded",
        "studies",
        ["area_pk", "referring_physician_name_phonetic_folded"],
        sqlite_where=sa.text("referring_physician_name_phonetic_folded IS NOT NULL"),
        postgresql_where=sa.text("referring_physician_name_phonetic_folded IS NOT NULL"),
    )
    op.create_index("ix_studies_area_pk_study_date_pk", "studies", ["area_pk", "study_date", "pk"])
    op.create_index("ix_studies_area_pk_study_id", "studies", ["area_pk", "study_id"])
    op.create_index("ix_studies_patient_pk", "studies", ["patient_pk"])
    op.create_table(
        "series",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("area_pk", KEY, nullable=False),
        sa.Column("study_pk", KEY, nullable=False),
        sa.Column("series_instance_uid", TEXT, nullable=False),
        sa.Column("modality", TEXT),
        sa.Column("series_number", sa.BigInteger()),
        sa.Column("series_number_text", TEXT),
        sa.Column("series_date", sa.Date()),
        sa.Column("series_date_text", TEXT),
        sa.Column("series_time", sa.Time()),
        sa.Column("series_time_text", TEXT),
        sa.Column("series_description", TEXT),
        sa.Column("body_part_examined", TEXT),
        sa.Column("protocol_name", TEXT),
        sa.Column("laterality", TEXT),
        sa.Column("station_name", TEXT),
        sa.Column("institution_name", TEXT),
        sa.Column("manufacturer", TEXT),
        sa.Column("performed_procedure_step_start_date", sa.Date()),
        sa.Column("performed_procedure_step_start_date_text", TEXT),
        sa.Column("performed_procedure_step_start_time", sa.Time()),
        sa.Column("performed_procedure_step_start_time_text", TEXT),
        sa.Column("performing_physician_name_alphabetic", TEXT),
        sa.Column("performing_physician_name_ideographic", TEXT),
        sa.Column("performing_physician_name_phonetic", TEXT),
        sa.Column("performing_physician_name_alphabetic_folded", TEXT),
        sa.Column("performing_physician_name_ideographic_folded", TEXT),
        sa.Column("performing_physician_name_phonetic_folded", TEXT),
        sa.Column("operators_name_alphabetic", TEXT),
        sa.Column("operators_name_ideographic", TEXT),
        sa.Column("operators_name_phonetic", TEXT),
        sa.Column("operators_name_alphabetic_folded", TEXT),
        sa.Column("operators_name_ideographic_folded", TEXT),
        sa.Column("operators_name_phonetic_folded", TEXT),
        sa.Column("sop_classes", TEXT),
        sa.Column("number_of_instances", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("specific_character_set", TEXT),
        sa.Column("rest", sa.LargeBinary()),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("norm_version", sa.SmallInteger(), nullable=False),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_series"),
        sa.ForeignKeyConstraint(["study_pk"], ["studies.pk"], name="fk_series_study_pk"),
        sa.UniqueConstraint("study_pk", "series_instance_uid", name="uq_series_study_pk_series_instance_uid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_series_area_pk_modality_study_pk", "series", ["area_pk", "modality", "study_pk"])
    op.create_index("ix_series_area_pk_series_instance_uid", "series", ["area_pk", "series_instance_uid"])
    op.create_table(
        "study_usage",
        sa.Column("study_pk", KEY, nullable=False, autoincrement=False),
        sa.Column("area_pk", KEY, nullable=False),
        sa.Column("number_of_series", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("number_of_instances", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("last_stored_at", TIMESTAMP, nullable=False),
        sa.Column("is_pinned", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("is_evictable", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.PrimaryKeyConstraint("study_pk", name="pk_study_usage"),
        sa.ForeignKeyConstraint(["study_pk"], ["studies.pk"], name="fk_study_usage_study_pk"),
    )
    op.create_index(
        "ix_study_usage_evictable",
        "study_usage",
        ["area_pk", "last_stored_at", "study_pk"],
        postgresql_where=sa.column("is_evictable").is_(sa.true()),
        sqlite_where=sa.column("is_evictable").is_(sa.true()),
    )
    op.create_table(
        "instances",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("area_pk", KEY, nullable=False),
        sa.Column("study_pk", KEY, nullable=False),
        sa.Column("series_pk", KEY, nullable=False),
        sa.Column("sop_instance_uid", TEXT, nullable=False),
        sa.Column("sop_class_uid", TEXT, nullable=False),
        sa.Column("transfer_syntax_uid", TEXT, nullable=False),
        sa.Column("instance_number", sa.BigInteger()),
        sa.Column("instance_number_text", TEXT),
        sa.Column("content_date", sa.Date()),
        sa.Column("content_date_text", TEXT),
        sa.Column("content_time", sa.Time()),
        sa.Column("content_time_text", TEXT),
        sa.Column("rows", sa.Integer()),
        sa.Column("columns", sa.Integer()),
        sa.Column("number_of_frames", sa.BigInteger()),
        sa.Column("number_of_frames_text", TEXT),
        sa.Column("path", TEXT),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("data_set_offset", sa.Integer(), nullable=False),
        sa.Column("source_ae_title", TEXT, nullable=False),
        sa.Column("received_at", TIMESTAMP, nullable=False),
        sa.Column("specific_character_set", TEXT),
        sa.Column("rest", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("pk", name="pk_instances"),
        sa.ForeignKeyConstraint(["series_pk"], ["series.pk"], name="fk_instances_series_pk"),
        sa.UniqueConstraint("area_pk", "sop_instance_uid", name="uq_instances_area_pk_sop_instance_uid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_instances_series_pk", "instances", ["series_pk"])
    op.create_table(
        "unfiled_instances",
        sa.Column("instance_pk", KEY, nullable=False, autoincrement=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("instance_pk", name="pk_unfiled_instances"),
        sa.ForeignKeyConstraint(
            ["instance_pk"], ["instances.pk"], name="fk_unfiled_instances_instance_pk", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "series_requests",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("series_pk", KEY, nullable=False),
        sa.Column("requested_procedure_id", TEXT),
        sa.Column("scheduled_procedure_step_id", TEXT),
        sa.Column("requested_procedure_description", TEXT),
        sa.Column("scheduled_procedure_step_description", TEXT),
        sa.Column("accession_number", TEXT),
        sa.Column("study_instance_uid", TEXT),
        sa.PrimaryKeyConstraint("pk", name="pk_series_requests"),
        sa.ForeignKeyConstraint(["series_pk"], ["series.pk"], name="fk_series_requests_series_pk", ondelete="CASCADE"),
    )
    op.create_index("ix_series_requests_requested_procedure_id", "series_requests", ["requested_procedure_id"])
    op.create_index(
        "ix_series_requests_scheduled_procedure_step_id", "series_requests", ["scheduled_procedure_step_id"]
    )
    op.create_index("ix_series_requests_series_pk", "series_requests", ["series_pk"])
