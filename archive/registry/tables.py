"""What the administrator decided, as tables: storage areas, our AE titles, remote peers and access rules."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    Table,
    UniqueConstraint,
    text,
)

from archive.database.metadata import BinaryText, Key, Timestamp, metadata

OPERATIONS = ("echo", "store", "find", "move", "get")


def _flag(name: str, default: bool) -> Column:
    return Column(name, Boolean, nullable=False, server_default=text("true" if default else "false"))


storage_areas = Table(
    "storage_areas",
    metadata,
    Column("pk", Key, primary_key=True),
    Column("name", BinaryText, nullable=False, unique=True),
    # A folder; relative ones lie in the data folder of the service.
    Column("path", BinaryText, nullable=False, unique=True),
    # full: file and transaction are synced before a store is answered. relaxed: the operating system writes later.
    Column(
        "durability",
        BinaryText,
        CheckConstraint("durability IN ('full', 'relaxed')", name="durability"),
        nullable=False,
        server_default="full",
    ),
    # What happens to an instance that is here already.
    Column(
        "duplicates",
        BinaryText,
        CheckConstraint("duplicates IN ('replace', 'keep', 'reject')", name="duplicates"),
        nullable=False,
        server_default="replace",
    ),
    _flag("accept_unknown_sop_classes", True),
    # Person names match by code point instead of without regard to case and accents.
    _flag("strict_names", False),
    # The quota; NULL is no limit. Bytes are those of files, File Meta Information included.
    Column("max_studies", BigInteger, CheckConstraint("max_studies > 0", name="max_studies")),
    Column("max_study_bytes", BigInteger, CheckConstraint("max_study_bytes > 0", name="max_study_bytes")),
    Column("max_bytes", BigInteger, CheckConstraint("max_bytes > 0", name="max_bytes")),
    # Days since a study was last stored to.
    Column("max_age_days", Integer, CheckConstraint("max_age_days BETWEEN 1 AND 36500", name="max_age_days")),
    # What is to stay free on the disk of the area.
    Column("min_free_bytes", BigInteger, CheckConstraint("min_free_bytes > 0", name="min_free_bytes")),
    # What happens when an instance would not fit: it is refused, or what was stored to least recently goes.
    Column(
        "on_full",
        BinaryText,
        CheckConstraint("on_full IN ('reject', 'evict')", name="on_full"),
        nullable=False,
        server_default="reject",
    ),
    # Most answers of one C-FIND; NULL is no limit.
    Column("answer_limit", Integer, CheckConstraint("answer_limit > 0", name="answer_limit")),
    Column("created_at", Timestamp, nullable=False),
    sqlite_autoincrement=True,
)

ae_titles = Table(
    "ae_titles",
    metadata,
    # Our own titles: whoever calls one of them works in its area.
    Column("pk", Key, primary_key=True),
    Column("title", BinaryText, nullable=False, unique=True),
    Column("area_pk", Key, ForeignKey("storage_areas.pk"), nullable=False),
    _flag("can_read", True),
    _flag("can_write", True),
    Column("created_at", Timestamp, nullable=False),
    sqlite_autoincrement=True,
)

peers = Table(
    "peers",
    metadata,
    # Remote application entities: whom rules speak of, and where a C-MOVE may go.
    Column("pk", Key, primary_key=True),
    Column("name", BinaryText, nullable=False, unique=True),
    Column("ae_title", BinaryText, nullable=False),
    Column("host", BinaryText, nullable=False),
    Column("port", Integer, CheckConstraint("port BETWEEN 1 AND 65535", name="port"), nullable=False),
    Column("created_at", Timestamp, nullable=False),
    UniqueConstraint("ae_title", "host", "port"),
    sqlite_autoincrement=True,
)

access_rules = Table(
    "access_rules",
    metadata,
    # Who may do what at one of our titles. One of: a peer; a calling title, from a network or anywhere; anybody, ditto.
    Column("pk", Key, primary_key=True),
    Column("ae_title_pk", Key, ForeignKey("ae_titles.pk", ondelete="CASCADE"), nullable=False, index=True),
    Column("action", BinaryText, CheckConstraint("action IN ('allow', 'deny')", name="action"), nullable=False),
    Column("peer_pk", Key, ForeignKey("peers.pk", ondelete="CASCADE"), index=True),
    Column("calling_ae_title", BinaryText),
    # An address, a network in CIDR notation, or a host name.
    Column("network", BinaryText),
    *(_flag(f"can_{operation}", True) for operation in OPERATIONS),
    Column("created_at", Timestamp, nullable=False),
    CheckConstraint("peer_pk IS NULL OR (calling_ae_title IS NULL AND network IS NULL)", name="who"),
    sqlite_autoincrement=True,
)

registry_revision = Table(
    "registry_revision",
    metadata,
    # One row; every change of the tables above adds one, so that a service knows when to read them again.
    Column("pk", Integer, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
)
