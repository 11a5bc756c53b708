"""The first schema: registry, holdings and the books kept beside them."""

import logging
from pathlib import Path

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
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


log = logging.getLogger(__name__)


def upgrade() -> None:
    _registry_and_holdings()
    _activity()
    _views()
    if op.get_context().dialect.name == "postgresql":
        _trigrams()
        # Room in each page for the next version of a row that stores change.
        op.execute("ALTER TABLE series SET (fillfactor = 85)")
        op.execute("ALTER TABLE studies SET (fillfactor = 90)")
        # Out of the row, as it is: to compress what is soon deleted again takes longer than to write it.
        op.execute("ALTER TABLE unfiled_instances ALTER COLUMN content SET STORAGE EXTERNAL")
        _reporting_role()
    else:
        _sqlite_trigrams("patients", "patient_name_alphabetic_folded", "patient_name_trigrams")
        _sqlite_trigrams("studies", "study_description", "study_description_trigrams")
        _statistics()


def _views() -> None:
    """The report views, as they were when this migration was written."""
    file = Path(__file__).parents[1] / "views" / f"0001_{op.get_context().dialect.name}.sql"
    for statement in file.read_text(encoding="utf-8").split(";\n"):
        if statement.strip():
            op.execute(statement)


# What the role for reports may not read: bytes of instances.
_NOT_FOR_REPORTS = ("unfiled_instances", "users")


def _reporting_role() -> None:
    """A role without login, for people who read: granted to their own roles. It belongs to all databases of a cluster.

    Whoever migrates at the same time may have made it, in another database; and not everybody may make roles.
    """
    op.execute(
        """
        DO $$
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'archive_reporting')
               AND (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user) THEN
                CREATE ROLE archive_reporting NOLOGIN;
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END $$
        """
    )
    if op.get_context().as_sql:
        log.warning("the grants to archive_reporting are not part of the script; see docs/how-to/reporting.md")
        return
    if not op.get_bind().scalar(sa.text("SELECT count(*) FROM pg_roles WHERE rolname = 'archive_reporting'")):
        log.warning(
            "The role archive_reporting was not made: this user may not make roles. Reports work without it; "
            "docs/how-to/reporting.md says how to make it."
        )
        return
    op.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO archive_reporting")  # views too
    op.execute("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO archive_reporting")
    for table in _NOT_FOR_REPORTS:
        op.execute(f"REVOKE ALL ON {table} FROM archive_reporting")


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


def _sqlite_trigrams(table: str, column: str, name: str) -> None:
    """The same on SQLite: a table of full-text search, kept by triggers in the transactions of the rows."""
    take_out = f"INSERT INTO {name} ({name}, rowid, {column}) SELECT 'delete', OLD.pk, OLD.{column}"
    put_in = f"INSERT INTO {name} (rowid, {column}) SELECT NEW.pk, NEW.{column}"
    was, is_there = f"WHERE OLD.{column} IS NOT NULL", f"WHERE NEW.{column} IS NOT NULL"
    changed = f"AFTER UPDATE OF {column} ON {table}"
    op.execute(
        f"CREATE VIRTUAL TABLE {name} USING fts5({column}, content='{table}', content_rowid='pk', "
        "tokenize='trigram case_sensitive 1', detail=none, columnsize=0)"
    )
    op.execute(f"CREATE TRIGGER {name}_insert AFTER INSERT ON {table} BEGIN {put_in} {is_there}; END")
    op.execute(f"CREATE TRIGGER {name}_delete AFTER DELETE ON {table} BEGIN {take_out} {was}; END")
    op.execute(f"CREATE TRIGGER {name}_update {changed} BEGIN {take_out} {was}; {put_in} {is_there}; END")


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
    ("study_usage", "ix_study_usage_evictable"): "1000000 1000000 2 1",
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


# Presets of transfer syntaxes.
_PROPOSED = """'big-endian', 'deflated', 'hevc', 'hevc10', 'implicit', 'j2k-lossless', 'j2k-lossy', 'jls-lossless',
'jls-lossy', 'jpeg-12bit', 'jpeg-8bit', 'jpeg-lossless', 'little-endian', 'mpeg2', 'mpeg2-high', 'mpeg4', 'mpeg4-2-2d',
'mpeg4-2-3d', 'mpeg4-2-st', 'mpeg4-bd', 'rle', 'uncompressed'""".replace("\n", " ")
_ACCEPTED = f"'all', {_PROPOSED}".replace("'hevc',", "'held', 'hevc',")


def _answering() -> tuple[sa.Column | sa.Constraint, ...]:
    """How a title answers."""
    yes, no = sa.text("true"), sa.text("false")
    return (
        sa.Column("accepts", TEXT, nullable=False, server_default="held"),
        sa.Column("profile_pk", KEY),
        sa.Column("max_pdu_bytes", sa.Integer()),
        sa.Column("dimse_timeout_seconds", sa.Integer()),
        sa.Column("idle_timeout_seconds", sa.Integer()),
        sa.Column("strict_find", sa.Boolean(), nullable=False, server_default=no),
        sa.Column("strict_move", sa.Boolean(), nullable=False, server_default=no),
        sa.Column("character_set", TEXT, nullable=False, server_default="ISO_IR 192"),
        sa.Column("character_set_overrides", sa.Boolean(), nullable=False, server_default=no),
        sa.Column("character_set_falls_back", sa.Boolean(), nullable=False, server_default=yes),
        sa.Column("character_set_transliterates", sa.Boolean(), nullable=False, server_default=no),
        sa.Column("character_set_discards", sa.Boolean(), nullable=False, server_default=no),
        sa.ForeignKeyConstraint(["profile_pk"], ["association_profiles.pk"], name="fk_ae_titles_profile_pk"),
        sa.CheckConstraint(f"accepts IN ({_ACCEPTED})", name=op.f("ck_ae_titles_accepts")),
        sa.CheckConstraint("max_pdu_bytes BETWEEN 4096 AND 1048576", name=op.f("ck_ae_titles_max_pdu_bytes")),
        sa.CheckConstraint("dimse_timeout_seconds >= 0", name=op.f("ck_ae_titles_dimse_timeout_seconds")),
        sa.CheckConstraint("idle_timeout_seconds >= 0", name=op.f("ck_ae_titles_idle_timeout_seconds")),
    )


def _profiles() -> None:
    """Association profiles, and what belongs to each."""
    op.create_table(
        "association_profiles",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_association_profiles"),
        sa.UniqueConstraint("name", name="uq_association_profiles_name"),
        sqlite_autoincrement=True,
    )
    yes, no = sa.text("true"), sa.text("false")
    of_profile: dict[str, tuple[str, list[sa.Column]]] = {
        "association_profile_contexts": ("position", []),
        "association_profile_roles": (
            "sop_class_uid",
            [
                sa.Column("is_scu", sa.Boolean(), nullable=False, server_default=yes),
                sa.Column("is_scp", sa.Boolean(), nullable=False, server_default=no),
            ],
        ),
        "association_profile_extensions": (
            "sop_class_uid",
            [sa.Column("application_information", sa.LargeBinary(), nullable=False)],
        ),
    }
    for table, (unique, columns) in of_profile.items():
        op.create_table(
            table,
            sa.Column("pk", KEY, nullable=False),
            sa.Column("profile_pk", KEY, nullable=False),
            sa.Column("position", sa.Integer(), nullable=False),
            sa.Column("sop_class_uid", TEXT, nullable=False),
            *columns,
            sa.PrimaryKeyConstraint("pk", name=f"pk_{table}"),
            sa.ForeignKeyConstraint(
                ["profile_pk"], ["association_profiles.pk"], name=f"fk_{table}_profile_pk", ondelete="CASCADE"
            ),
            sa.UniqueConstraint("profile_pk", unique, name=f"uq_{table}_profile_pk_{unique}"),
            sqlite_autoincrement=True,
        )
    op.create_table(
        "association_profile_syntaxes",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("context_pk", KEY, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("transfer_syntax_uid", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_association_profile_syntaxes"),
        sa.ForeignKeyConstraint(
            ["context_pk"],
            ["association_profile_contexts.pk"],
            name="fk_association_profile_syntaxes_context_pk",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("context_pk", "position", name="uq_association_profile_syntaxes_context_pk_position"),
        sqlite_autoincrement=True,
    )


def _registry_and_holdings() -> None:
    _profiles()
    op.create_table(
        "peers",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("ae_title", TEXT, nullable=False),
        sa.Column("host", TEXT, nullable=False),
        sa.Column("port", sa.Integer()),
        sa.Column("proposes", TEXT),
        sa.Column("profile_pk", KEY),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.Column("uses_tls", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("checks_host", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("certificate", TEXT),
        sa.PrimaryKeyConstraint("pk", name="pk_peers"),
        sa.CheckConstraint("port BETWEEN 1 AND 65535", name=op.f("ck_peers_port")),
        sa.CheckConstraint(f"proposes IN ({_PROPOSED})", name=op.f("ck_peers_proposes")),
        sa.UniqueConstraint("ae_title", "host", "port", name="uq_peers_ae_title_host_port"),
        sa.UniqueConstraint("name", name="uq_peers_name"),
        sa.ForeignKeyConstraint(["profile_pk"], ["association_profiles.pk"], name="fk_peers_profile_pk"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_peers_profile_pk", "peers", ["profile_pk"])
    _groups_and_network_rules()
    op.create_table(
        "users",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("password_hash", TEXT),
        sa.Column("disabled", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_users"),
        sa.UniqueConstraint("name", name="uq_users_name"),
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
        sa.Column("writing", TEXT, nullable=False, server_default="received"),
        sa.Column("written_transfer_syntax", TEXT),
        sa.Column("group_lengths", TEXT, nullable=False, server_default="recalculate"),
        sa.Column("sequence_lengths", TEXT, nullable=False, server_default="explicit"),
        sa.Column("file_padding_bytes", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("item_padding_bytes", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("old_vrs_only", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("converts_un", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("deflate_level", sa.Integer(), nullable=False, server_default=sa.text("6")),
        sa.Column("discards", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("max_studies", sa.BigInteger()),
        sa.Column("max_study_bytes", sa.BigInteger()),
        sa.Column("max_bytes", sa.BigInteger()),
        sa.Column("max_age_days", sa.Integer()),
        sa.Column("min_free_bytes", sa.BigInteger()),
        sa.Column("headroom_bytes", sa.BigInteger()),
        sa.Column("on_full", TEXT, nullable=False, server_default="reject"),
        sa.Column("answer_limit", sa.Integer()),
        sa.Column("retrieve_limit", sa.Integer()),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_storage_areas"),
        sa.CheckConstraint("durability IN ('full', 'relaxed')", name=op.f("ck_storage_areas_durability")),
        sa.CheckConstraint("duplicates IN ('replace', 'keep', 'reject')", name=op.f("ck_storage_areas_duplicates")),
        *(
            sa.CheckConstraint(f"{column} {allowed}", name=op.f(f"ck_storage_areas_{column}"))
            for column, allowed in (
                ("writing", "IN ('received', 'normalised')"),
                (
                    "written_transfer_syntax",
                    "IN ('1.2.840.10008.1.2', '1.2.840.10008.1.2.1', '1.2.840.10008.1.2.1.99', '1.2.840.10008.1.2.2')",
                ),
                ("group_lengths", "IN ('recalculate', 'create', 'remove')"),
                ("sequence_lengths", "IN ('explicit', 'undefined')"),
                ("file_padding_bytes", "BETWEEN 0 AND 65536 AND file_padding_bytes & 1 = 0"),
                ("item_padding_bytes", "BETWEEN 0 AND 65536 AND item_padding_bytes & 1 = 0"),
                ("deflate_level", "BETWEEN 0 AND 9"),
            )
        ),
        *(
            sa.CheckConstraint(f"{limit} > 0", name=op.f(f"ck_storage_areas_{limit}"))
            for limit in ("max_studies", "max_study_bytes", "max_bytes", "min_free_bytes", "headroom_bytes")
        ),
        sa.CheckConstraint("max_age_days BETWEEN 1 AND 36500", name=op.f("ck_storage_areas_max_age_days")),
        sa.CheckConstraint("on_full IN ('reject', 'evict')", name=op.f("ck_storage_areas_on_full")),
        sa.CheckConstraint("answer_limit > 0", name=op.f("ck_storage_areas_answer_limit")),
        sa.CheckConstraint("retrieve_limit > 0", name=op.f("ck_storage_areas_retrieve_limit")),
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
        *(
            sa.Column(f"moves_to_{which}", sa.Boolean(), nullable=False, server_default=sa.text("false"))
            for which in ("same_title", "same_host", "same_vendor", "listed")
        ),
        *(
            sa.Column(f"allows_{what}", sa.Boolean(), nullable=False, server_default=sa.text("true"))
            for what in ("get", "patient_root", "study_root", "patient_study_only")
        ),
        sa.Column("requires_find", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("allows_parallel_store", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("refuses", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("requires_implementation_uid", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("max_associations", sa.Integer()),
        sa.Column("max_associations_per_caller", sa.Integer()),
        *_answering(),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.CheckConstraint("max_associations > 0", name=op.f("ck_ae_titles_max_associations")),
        sa.CheckConstraint("max_associations_per_caller > 0", name=op.f("ck_ae_titles_max_associations_per_caller")),
        sa.CheckConstraint(
            "allows_patient_root OR allows_study_root OR allows_patient_study_only", name=op.f("ck_ae_titles_models")
        ),
        sa.Column("requires_user", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.PrimaryKeyConstraint("pk", name="pk_ae_titles"),
        sa.ForeignKeyConstraint(["area_pk"], ["storage_areas.pk"], name="fk_ae_titles_area_pk"),
        sa.UniqueConstraint("title", name="uq_ae_titles_title"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_ae_titles_profile_pk", "ae_titles", ["profile_pk"])
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
        "changes",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("changed_at", TIMESTAMP, nullable=False),
        sa.Column("os_user", TEXT, nullable=False),
        sa.Column("os_host", TEXT, nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("before", JSON, nullable=True),
        sa.Column("after", JSON, nullable=True),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_changes")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_changes_changed_at", "changes", ["changed_at"])
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
        sa.Column("caused_by_ae_title", TEXT),
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
        "housekeeping",
        sa.Column("pk", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("node", TEXT, nullable=False),
        sa.Column("elected_at", TIMESTAMP, nullable=False),
        sa.Column("lease_until", TIMESTAMP, nullable=False),
        sa.Column("last_round_at", TIMESTAMP),
        sa.Column("last_round_seconds", sa.Numeric()),
        sa.Column("last_error", TEXT),
        sa.Column("last_error_at", TIMESTAMP),
        sa.PrimaryKeyConstraint("pk", name="pk_housekeeping"),
    )
    op.create_table(
        "housekeeping_errors",
        sa.Column("area_pk", KEY, nullable=False),
        sa.Column("work", TEXT, nullable=False),
        sa.Column("error", TEXT, nullable=False),
        sa.Column("last_at", TIMESTAMP, nullable=False),
        sa.Column("is_mended", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.PrimaryKeyConstraint("area_pk", "work", name="pk_housekeeping_errors"),
        sa.CheckConstraint("work IN ('file', 'evict', 'unlink')", name=op.f("ck_housekeeping_errors_work")),
        sa.ForeignKeyConstraint(
            ["area_pk"], ["storage_areas.pk"], name="fk_housekeeping_errors_area_pk", ondelete="CASCADE"
        ),
    )
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
        sa.Column("group_pk", KEY),
        sa.Column("calling_ae_title", TEXT),
        sa.Column("network", TEXT),
        sa.Column("can_echo", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("can_store", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("can_find", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("can_move", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("can_get", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("can_shutdown", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_access_rules"),
        sa.CheckConstraint("action IN ('allow', 'deny')", name=op.f("ck_access_rules_action")),
        sa.CheckConstraint(
            "(peer_pk IS NULL AND group_pk IS NULL) OR (calling_ae_title IS NULL AND network IS NULL)",
            name=op.f("ck_access_rules_who"),
        ),
        sa.CheckConstraint("peer_pk IS NULL OR group_pk IS NULL", name=op.f("ck_access_rules_peer_or_group")),
        sa.ForeignKeyConstraint(
            ["ae_title_pk"], ["ae_titles.pk"], name="fk_access_rules_ae_title_pk", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["peer_pk"], ["peers.pk"], name="fk_access_rules_peer_pk", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["group_pk"], ["peer_groups.pk"], name="fk_access_rules_group_pk", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_access_rules_ae_title_pk", "access_rules", ["ae_title_pk"])
    op.create_index("ix_access_rules_peer_pk", "access_rules", ["peer_pk"])
    op.create_index("ix_access_rules_group_pk", "access_rules", ["group_pk"])
    op.create_table(
        "move_destinations",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("ae_title_pk", KEY, nullable=False),
        sa.Column("peer_pk", KEY),
        sa.Column("group_pk", KEY),
        sa.PrimaryKeyConstraint("pk", name="pk_move_destinations"),
        sa.CheckConstraint("(peer_pk IS NULL) <> (group_pk IS NULL)", name=op.f("ck_move_destinations_one")),
        sa.ForeignKeyConstraint(
            ["ae_title_pk"], ["ae_titles.pk"], name="fk_move_destinations_ae_title_pk", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["peer_pk"], ["peers.pk"], name="fk_move_destinations_peer_pk", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["group_pk"], ["peer_groups.pk"], name="fk_move_destinations_group_pk", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("ae_title_pk", "peer_pk", name="uq_move_destinations_ae_title_pk_peer_pk"),
        sa.UniqueConstraint("ae_title_pk", "group_pk", name="uq_move_destinations_ae_title_pk_group_pk"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_move_destinations_peer_pk", "move_destinations", ["peer_pk"])
    op.create_index("ix_move_destinations_group_pk", "move_destinations", ["group_pk"])
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
        sa.Column("checksum", sa.LargeBinary()),
        sa.Column("source_ae_title", TEXT, nullable=False),
        sa.Column("received_at", TIMESTAMP, nullable=False),
        sa.Column("specific_character_set", TEXT),
        sa.Column("rest", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("pk", name="pk_instances"),
        sa.ForeignKeyConstraint(["series_pk"], ["series.pk"], name="fk_instances_series_pk"),
        sa.UniqueConstraint("area_pk", "sop_instance_uid", name="uq_instances_area_pk_sop_instance_uid"),
        sqlite_autoincrement=True,
    )
    is_postgresql = op.get_context().dialect.name == "postgresql"
    op.create_index("ix_instances_series_pk", "instances", ["series_pk", "pk"] if is_postgresql else ["series_pk"])
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


def _activity() -> None:
    op.create_table(
        "associations",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("began_at", TIMESTAMP, nullable=False),
        sa.Column("ended_at", TIMESTAMP),
        sa.Column("node", TEXT, nullable=False),
        sa.Column("worker", sa.SmallInteger(), nullable=False),
        sa.Column("called_ae_title", TEXT, nullable=False),
        sa.Column("calling_ae_title", TEXT, nullable=False),
        sa.Column("peer_host", TEXT, nullable=False),
        sa.Column("implementation_version_name", TEXT),
        sa.Column("area", TEXT),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("rejection", TEXT),
        sa.Column("refused_operations", TEXT),
        sa.Column("refused_because", TEXT),
        sa.Column("reason", TEXT),
        sa.Column("number_of_requests", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("contexts_accepted", sa.Integer()),
        sa.Column("contexts_refused", sa.Integer()),
        sa.Column("number_of_operations", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("received_bytes", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("sent_bytes", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("pk", name="pk_associations"),
        sa.CheckConstraint(
            "outcome IN ('open', 'released', 'aborted', 'rejected', 'closed', 'failed', 'lost')",
            name=op.f("ck_associations_outcome"),
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_associations_began_at", "associations", ["began_at"])
    op.create_index(
        "ix_associations_open",
        "associations",
        ["node", "worker"],
        sqlite_where=sa.text("outcome = 'open'"),
        postgresql_where=sa.text("outcome = 'open'"),
    )
    op.create_table(
        "operations",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("association_pk", KEY, nullable=False),
        sa.Column("operation", TEXT, nullable=False),
        sa.Column("began_at", TIMESTAMP, nullable=False),
        sa.Column("ended_at", TIMESTAMP, nullable=False),
        sa.Column("number_of_requests", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("information_model", TEXT),
        sa.Column("level", TEXT),
        sa.Column("move_destination", TEXT),
        sa.Column("status", TEXT),
        sa.Column("error_comment", TEXT),
        sa.Column("number_of_matches", sa.BigInteger()),
        sa.Column("sub_operations_completed", sa.BigInteger()),
        sa.Column("sub_operations_failed", sa.BigInteger()),
        sa.Column("sub_operations_warning", sa.BigInteger()),
        sa.Column("number_replaced", sa.BigInteger()),
        sa.Column("number_kept", sa.BigInteger()),
        sa.Column("size_bytes", sa.BigInteger()),
        sa.Column("duration_seconds", sa.Numeric(), nullable=False),
        sa.Column("longest_seconds", sa.Numeric(), nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_operations"),
        sa.ForeignKeyConstraint(
            ["association_pk"], ["associations.pk"], name="fk_operations_association_pk", ondelete="CASCADE"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_operations_association_pk", "operations", ["association_pk"])
    op.create_index("ix_operations_began_at", "operations", ["began_at"])
    op.create_table(
        "received_by_day",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("area", TEXT, nullable=False),
        sa.Column("source_ae_title", TEXT, nullable=False),
        sa.Column("modality", TEXT, nullable=False),
        sa.Column("number_of_instances", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("day", "area", "source_ae_title", "modality", name="pk_received_by_day"),
    )


def _groups_and_network_rules() -> None:
    op.create_table(
        "peer_groups",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_peer_groups"),
        sa.CheckConstraint("kind IN ('group', 'vendor')", name=op.f("ck_peer_groups_kind")),
        sa.UniqueConstraint("name", name="uq_peer_groups_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "peer_group_members",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("group_pk", KEY, nullable=False),
        sa.Column("peer_pk", KEY),
        sa.Column("member_group_pk", KEY),
        sa.PrimaryKeyConstraint("pk", name="pk_peer_group_members"),
        sa.CheckConstraint("(peer_pk IS NULL) <> (member_group_pk IS NULL)", name=op.f("ck_peer_group_members_one")),
        sa.ForeignKeyConstraint(
            ["group_pk"], ["peer_groups.pk"], name="fk_peer_group_members_group_pk", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["peer_pk"], ["peers.pk"], name="fk_peer_group_members_peer_pk", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["member_group_pk"], ["peer_groups.pk"], name="fk_peer_group_members_member_group_pk", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("group_pk", "peer_pk", name="uq_peer_group_members_group_pk_peer_pk"),
        sa.UniqueConstraint("group_pk", "member_group_pk", name="uq_peer_group_members_group_pk_member_group_pk"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_peer_group_members_peer_pk", "peer_group_members", ["peer_pk"])
    op.create_index("ix_peer_group_members_member_group_pk", "peer_group_members", ["member_group_pk"])
    op.create_table(
        "network_rules",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("clients", TEXT, nullable=False),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_network_rules"),
        sa.CheckConstraint("action IN ('accept', 'close')", name=op.f("ck_network_rules_action")),
        sqlite_autoincrement=True,
    )
