"""What the administrator decided, as tables: areas, our AE titles, peers and their groups, access and network rules."""

from collections.abc import Iterable

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    UniqueConstraint,
    text,
)

from archive.database.metadata import BinaryText, Json, Key, Timestamp, metadata
from archive.dicom.convert import DEFLATE_LEVEL
from archive.dicom.normal import MAX_PADDING_BYTES, GroupLengths, SequenceLengths
from archive.dicom.transfer_syntax_presets import ACCEPT, PROPOSE

OPERATIONS = ("echo", "store", "find", "move", "get")

# To end the service by DCMTK's private SOP Class: no rule gives it that does not name it.
SHUTDOWN = "shutdown"

# All that a rule can speak of.
RULED = (*OPERATIONS, SHUTDOWN)

# Columns that say nothing to whoever reads a note.
UNNOTED = frozenset({"pk", "created_at"})


def _one_of(column: str, words: Iterable[str]) -> CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in sorted(words))
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def _flag(name: str, default: bool) -> Column:
    return Column(name, Boolean, nullable=False, server_default=text("true" if default else "false"))


def _choice(name: str, words: Iterable[str], default: str) -> Column:
    listed = ", ".join(f"'{word}'" for word in words)
    check = CheckConstraint(f"{name} IN ({listed})", name=name)
    return Column(name, BinaryText, check, nullable=False, server_default=default)


def _number(name: str, default: int, range_: str) -> Column:
    check = CheckConstraint(f"{name} {range_}", name=name)
    return Column(name, Integer, check, nullable=False, server_default=text(str(default)))


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
    # received: data sets are kept byte for byte. normalised: they are written anew, as the next eight columns say.
    _choice("writing", ("received", "normalised"), "received"),
    # UID of the transfer syntax that files are written in; NULL is the one in which an instance came.
    Column(
        "written_transfer_syntax",
        BinaryText,
        CheckConstraint(
            "written_transfer_syntax IN ('1.2.840.10008.1.2', '1.2.840.10008.1.2.1', '1.2.840.10008.1.2.1.99', "
            "'1.2.840.10008.1.2.2')",
            name="written_transfer_syntax",
        ),
    ),
    _choice("group_lengths", GroupLengths, GroupLengths.RECALCULATE),
    _choice("sequence_lengths", SequenceLengths, SequenceLengths.EXPLICIT),
    # Files, and items of sequences, become a multiple of this, which is even; 0 is no padding.
    _number("file_padding_bytes", 0, f"BETWEEN 0 AND {MAX_PADDING_BYTES} AND file_padding_bytes & 1 = 0"),
    _number("item_padding_bytes", 0, f"BETWEEN 0 AND {MAX_PADDING_BYTES} AND item_padding_bytes & 1 = 0"),
    # VRs that came after 1993 are written as OB.
    _flag("old_vrs_only", False),
    # Elements of VR UN get the VR of the dictionary.
    _flag("converts_un", False),
    _number("deflate_level", DEFLATE_LEVEL, "BETWEEN 0 AND 9"),
    # What is stored here is answered with Success and not kept.
    _flag("discards", False),
    # The quota; NULL is no limit. Bytes are those of files, File Meta Information included.
    Column("max_studies", BigInteger, CheckConstraint("max_studies > 0", name="max_studies")),
    Column("max_study_bytes", BigInteger, CheckConstraint("max_study_bytes > 0", name="max_study_bytes")),
    Column("max_bytes", BigInteger, CheckConstraint("max_bytes > 0", name="max_bytes")),
    # Days since a study was last stored to.
    Column("max_age_days", Integer, CheckConstraint("max_age_days BETWEEN 1 AND 36500", name="max_age_days")),
    # What is to stay free on the disk of the area.
    Column("min_free_bytes", BigInteger, CheckConstraint("min_free_bytes > 0", name="min_free_bytes")),
    # What housekeeping keeps free below max_bytes and above min_free_bytes where the area evicts.
    Column("headroom_bytes", BigInteger, CheckConstraint("headroom_bytes > 0", name="headroom_bytes")),
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
    # Most instances of one C-MOVE or C-GET; NULL is no limit.
    Column("retrieve_limit", Integer, CheckConstraint("retrieve_limit > 0", name="retrieve_limit")),
    Column("created_at", Timestamp, nullable=False),
    sqlite_autoincrement=True,
)

association_profiles = Table(
    "association_profiles",
    metadata,
    # All that an association negotiates, under a name; a title accepts by one, a C-MOVE proposes by one.
    Column("pk", Key, primary_key=True),
    # Of letters, digits, - and _; no other differs by case only.
    Column("name", BinaryText, nullable=False, unique=True),
    Column("created_at", Timestamp, nullable=False),
    sqlite_autoincrement=True,
)


def _of_profile() -> tuple[Column, ...]:
    return (
        Column("pk", Key, primary_key=True),
        Column("profile_pk", Key, ForeignKey("association_profiles.pk", ondelete="CASCADE"), nullable=False),
        Column("position", Integer, nullable=False),
        Column("sop_class_uid", BinaryText, nullable=False),
    )


association_profile_contexts = Table(
    "association_profile_contexts",
    metadata,
    # The presentation contexts, from 1; a requestor may have several of one SOP Class.
    *_of_profile(),
    UniqueConstraint("profile_pk", "position"),
    sqlite_autoincrement=True,
)

association_profile_syntaxes = Table(
    "association_profile_syntaxes",
    metadata,
    # The transfer syntaxes of a presentation context, best first, from 1.
    Column("pk", Key, primary_key=True),
    Column("context_pk", Key, ForeignKey("association_profile_contexts.pk", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("transfer_syntax_uid", BinaryText, nullable=False),
    UniqueConstraint("context_pk", "position"),
    sqlite_autoincrement=True,
)

association_profile_roles = Table(
    "association_profile_roles",
    metadata,
    # The roles of a requestor, where they are not the default ones.
    *_of_profile(),
    _flag("is_scu", True),
    _flag("is_scp", False),
    UniqueConstraint("profile_pk", "sop_class_uid"),
    sqlite_autoincrement=True,
)

association_profile_extensions = Table(
    "association_profile_extensions",
    metadata,
    # Service class application information, as it goes over the wire.
    *_of_profile(),
    Column("application_information", LargeBinary, nullable=False),
    UniqueConstraint("profile_pk", "sop_class_uid"),
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
    # Access. Where a C-MOVE may go: all of these that are true must hold; none is anywhere.
    _flag("moves_to_same_title", False),
    _flag("moves_to_same_host", False),
    _flag("moves_to_same_vendor", False),
    _flag("moves_to_listed", False),  # a row of move_destinations names it, itself or by a group
    _flag("allows_get", True),
    _flag("allows_patient_root", True),
    _flag("allows_study_root", True),
    _flag("allows_patient_study_only", True),
    # C-MOVE and C-GET of a model only beside an accepted C-FIND of it.
    _flag("requires_find", False),
    # Whether an association may store while another at this title may.
    _flag("allows_parallel_store", True),
    _flag("refuses", False),  # every association
    _flag("requires_implementation_uid", False),
    # Associations at a time, over all workers of a service; NULL is no limit but that of the service.
    Column("max_associations", Integer, CheckConstraint("max_associations > 0", name="max_associations")),
    Column(
        "max_associations_per_caller",  # that is, of one calling AE title
        Integer,
        CheckConstraint("max_associations_per_caller > 0", name="max_associations_per_caller"),
    ),
    # How it answers. Transfer syntaxes, best first: a preset of archive.dicom.transfer_syntax_presets.
    Column("accepts", BinaryText, _one_of("accepts", ACCEPT), nullable=False, server_default="held"),
    # Replaces `accepts`, and all else that is accepted by default.
    Column("profile_pk", Key, ForeignKey("association_profiles.pk"), index=True),
    # NULL is what the service has, here and below; a timeout of 0 is without limit.
    Column("max_pdu_bytes", Integer, CheckConstraint("max_pdu_bytes BETWEEN 4096 AND 1048576", name="max_pdu_bytes")),
    Column(
        "dimse_timeout_seconds", Integer, CheckConstraint("dimse_timeout_seconds >= 0", name="dimse_timeout_seconds")
    ),
    Column("idle_timeout_seconds", Integer, CheckConstraint("idle_timeout_seconds >= 0", name="idle_timeout_seconds")),
    # Identifiers that do not keep to the hierarchy are refused: those of C-FIND; those of C-MOVE and C-GET.
    _flag("strict_find", False),
    _flag("strict_move", False),
    # The Specific Character Set beside the one that a query asks for; empty is ASCII. Whether it goes before that one,
    # whether the other of the two is tried when a text does not fit, and what may be done to make it fit.
    Column("character_set", BinaryText, nullable=False, server_default="ISO_IR 192"),
    _flag("character_set_overrides", False),
    _flag("character_set_falls_back", True),
    _flag("character_set_transliterates", False),
    _flag("character_set_discards", False),
    Column("created_at", Timestamp, nullable=False),
    CheckConstraint("allows_patient_root OR allows_study_root OR allows_patient_study_only", name="models"),
    # Callers must prove to be a user (PS3.7 D.3.3.7).
    _flag("requires_user", False),
    sqlite_autoincrement=True,
)

peers = Table(
    "peers",
    metadata,
    # Remote application entities: whom rules speak of, and where a C-MOVE may go.
    Column("pk", Key, primary_key=True),
    Column("name", BinaryText, nullable=False, unique=True),
    Column("ae_title", BinaryText, nullable=False),
    # An address or a host name; a network in CIDR notation for a peer that only calls.
    Column("host", BinaryText, nullable=False),
    # NULL: it only calls.
    Column("port", Integer, CheckConstraint("port BETWEEN 1 AND 65535", name="port")),
    # Transfer syntaxes of all that is sent to it, a preset; NULL: each as it is stored, and uncompressed.
    Column("proposes", BinaryText, _one_of("proposes", PROPOSE)),
    # Replaces `proposes`: what is proposed to it, whatever is sent.
    Column("profile_pk", Key, ForeignKey("association_profiles.pk"), index=True),
    Column("created_at", Timestamp, nullable=False),
    # We call it in TLS.
    _flag("uses_tls", False),
    # Its certificate must have been made for its host.
    _flag("checks_host", True),
    # Its title can be used with this certificate only: sha256:…, subject:CN=…, san:dns:…; NULL is with any, or none.
    Column("certificate", BinaryText),
    UniqueConstraint("ae_title", "host", "port"),
    sqlite_autoincrement=True,
)

peer_groups = Table(
    "peer_groups",
    metadata,
    # Peers under one name. A vendor is a group, too: what C-MOVE to the same vendor compares.
    Column("pk", Key, primary_key=True),
    # No peer has it: rules and members are found by one name.
    Column("name", BinaryText, nullable=False, unique=True),
    Column("kind", BinaryText, CheckConstraint("kind IN ('group', 'vendor')", name="kind"), nullable=False),
    Column("created_at", Timestamp, nullable=False),
    sqlite_autoincrement=True,
)

peer_group_members = Table(
    "peer_group_members",
    metadata,
    # One of: a peer; another group, and whatever is in that.
    Column("pk", Key, primary_key=True),
    Column("group_pk", Key, ForeignKey("peer_groups.pk", ondelete="CASCADE"), nullable=False),
    Column("peer_pk", Key, ForeignKey("peers.pk", ondelete="CASCADE"), index=True),
    Column("member_group_pk", Key, ForeignKey("peer_groups.pk", ondelete="CASCADE"), index=True),
    CheckConstraint("(peer_pk IS NULL) <> (member_group_pk IS NULL)", name="one"),
    UniqueConstraint("group_pk", "peer_pk"),
    UniqueConstraint("group_pk", "member_group_pk"),
    sqlite_autoincrement=True,
)

move_destinations = Table(
    "move_destinations",
    metadata,
    # Where a C-MOVE may go from a title that moves to listed destinations only: one of a peer, a group.
    Column("pk", Key, primary_key=True),
    Column("ae_title_pk", Key, ForeignKey("ae_titles.pk", ondelete="CASCADE"), nullable=False),
    Column("peer_pk", Key, ForeignKey("peers.pk", ondelete="CASCADE"), index=True),
    Column("group_pk", Key, ForeignKey("peer_groups.pk", ondelete="CASCADE"), index=True),
    CheckConstraint("(peer_pk IS NULL) <> (group_pk IS NULL)", name="one"),
    UniqueConstraint("ae_title_pk", "peer_pk"),
    UniqueConstraint("ae_title_pk", "group_pk"),
    sqlite_autoincrement=True,
)

access_rules = Table(
    "access_rules",
    metadata,
    # Who may do what at one of our titles. One of: a peer; a group of peers; a calling title, from a network or
    # anywhere; anybody, ditto.
    Column("pk", Key, primary_key=True),
    Column("ae_title_pk", Key, ForeignKey("ae_titles.pk", ondelete="CASCADE"), nullable=False, index=True),
    Column("action", BinaryText, CheckConstraint("action IN ('allow', 'deny')", name="action"), nullable=False),
    Column("peer_pk", Key, ForeignKey("peers.pk", ondelete="CASCADE"), index=True),
    Column("group_pk", Key, ForeignKey("peer_groups.pk", ondelete="CASCADE"), index=True),
    Column("calling_ae_title", BinaryText),
    # An address, a network in CIDR notation, or a host name.
    Column("network", BinaryText),
    *(_flag(f"can_{operation}", operation != SHUTDOWN) for operation in RULED),
    Column("created_at", Timestamp, nullable=False),
    CheckConstraint(
        "(peer_pk IS NULL AND group_pk IS NULL) OR (calling_ae_title IS NULL AND network IS NULL)", name="who"
    ),
    CheckConstraint("peer_pk IS NULL OR group_pk IS NULL", name="peer_or_group"),
    sqlite_autoincrement=True,
)

network_rules = Table(
    "network_rules",
    metadata,
    # Whose connections are closed before anything is read of them: the first rule that speaks of one decides.
    Column("pk", Key, primary_key=True),
    # Where it stands: by position, then by pk.
    Column("position", Integer, nullable=False),
    Column("action", BinaryText, CheckConstraint("action IN ('accept', 'close')", name="action"), nullable=False),
    # Addresses, networks, host names, domains and words, as in hosts_access(5), with EXCEPT.
    Column("clients", BinaryText, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    sqlite_autoincrement=True,
)

users = Table(
    "users",
    metadata,
    # Who may prove itself by User Identity negotiation.
    Column("pk", Key, primary_key=True),
    Column("name", BinaryText, nullable=False, unique=True),
    # `$scrypt$ln=…,r=…,p=…$salt$hash`; NULL: the name alone is enough.
    Column("password_hash", BinaryText),
    _flag("disabled", False),
    Column("created_at", Timestamp, nullable=False),
    sqlite_autoincrement=True,
)

registry_revision = Table(
    "registry_revision",
    metadata,
    # One row; every change of the tables above adds one, so that a service knows when to read them again.
    Column("pk", Integer, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
)

changes = Table(
    "changes",
    metadata,
    # Every change that somebody made by a command: who, where, what, and how it was before.
    Column("pk", Key, primary_key=True),
    Column("changed_at", Timestamp, nullable=False),
    Column("os_user", BinaryText, nullable=False),
    Column("os_host", BinaryText, nullable=False),
    # add, set, remove, pin and the like.
    Column("action", BinaryText, nullable=False),
    # What kind of thing: area, ae_title, peer, group, rule, study and so on; and its name: a title, a number, a UID.
    Column("subject", BinaryText, nullable=False),
    Column("name", BinaryText, nullable=False),
    # Of a change only what differs; NULL before an addition and after a removal.
    Column("before", Json),
    Column("after", Json),
    # What was changed last week, and what is older than changes_days.
    Index(None, "changed_at"),
    sqlite_autoincrement=True,
)
