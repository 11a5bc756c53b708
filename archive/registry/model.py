"""What the administrator decided, as immutable values.

`snapshot` reads them from the rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from archive.dicom import uids
from archive.dicom.normal import AS_DCMTK, EncodingOptions
from archive.registry import tables
from archive.registry.answering import AS_THE_SERVICE, Answering
from archive.registry.association_profiles import AssociationProfile
from archive.registry.networks import Clients


@dataclass(frozen=True, slots=True)
class Quota:
    """How much an area may hold; None is no limit. Bytes are those of files, File Meta Information included."""

    max_studies: int | None = None
    max_study_bytes: int | None = None
    max_bytes: int | None = None
    max_age_days: int | None = None
    """Days since a study was last stored to."""
    min_free_bytes: int | None = None
    """What is to stay free on the disk of the area."""
    headroom_bytes: int | None = None
    """What housekeeping keeps free below `max_bytes` and above `min_free_bytes`, where the area evicts."""
    evicts: bool = False
    """Whether what was stored to least recently makes room; else an instance that does not fit is refused."""

    @property
    def limits_holdings(self) -> bool:
        """Whether it depends on what the area holds if an instance fits."""
        return self.max_studies is not None or self.max_study_bytes is not None or self.max_bytes is not None

    @property
    def decides_stores(self) -> bool:
        """Whether a store has to ask if the instance fits."""
        return self.limits_holdings or self.min_free_bytes is not None

    @property
    def picks_studies(self) -> bool:
        """Whether studies of the area may be evicted."""
        return self.evicts or self.max_age_days is not None


@dataclass(frozen=True, slots=True)
class Area:
    """A storage area and its policies."""

    pk: int
    name: str
    path: str
    durable: bool
    duplicates: str
    accept_unknown_sop_classes: bool
    strict_names: bool
    answer_limit: int | None
    quota: Quota = Quota()
    normalises: bool = False
    """Whether data sets are written anew, as `encoding` says; else they are kept byte for byte."""
    encoding: EncodingOptions = AS_DCMTK
    discards: bool = False
    """Whether what is stored is answered with Success and not kept."""
    retrieve_limit: int | None = None

    def folder(self, data: Path) -> Path:
        """Where its files lie; a relative path lies in the data folder of the service."""
        return data / self.path

    def takes(self, sop_class_uid: str) -> bool:
        """Whether instances of this class can lie here: storage classes, and unknown ones where they are taken in."""
        if sop_class_uid in uids.STORAGE_SOP_CLASSES:
            return True
        known_other = sop_class_uid in uids.KNOWN_OTHER or sop_class_uid == uids.DCMTK_SHUTDOWN
        return self.accept_unknown_sop_classes and not known_other


@dataclass(frozen=True, slots=True)
class Peer:
    """A remote application entity."""

    pk: int
    name: str
    ae_title: str
    host: str
    """An address or a host name; a network in CIDR notation where it only calls."""
    port: int | None
    """None: it only calls."""
    uses_tls: bool = False
    checks_host: bool = True
    """In TLS, its certificate must have been made for its host."""
    certificate: str | None = None
    """Without this certificate nobody may use its title; see `certificates`."""
    proposes: str | None = None
    """Transfer syntaxes of all that is sent to it: a key of `transfer_syntax_presets.PROPOSE`; None: as stored."""
    profile: AssociationProfile | None = None
    """Replaces `proposes`: what is proposed to it, whatever is sent."""


@dataclass(frozen=True, slots=True)
class Group:
    """Peers under one name."""

    pk: int
    name: str
    is_vendor: bool
    members: tuple[str, ...]
    """The names of peers and groups that were put into it."""
    peers: tuple[Peer, ...]
    """All peers in it, those of groups in it included, each once."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may, or may not, do what at one of our titles."""

    pk: int
    allows: bool
    peer: Peer | None
    calling_ae_title: str | None
    network: str | None
    operations: frozenset[str]
    group: Group | None = None

    def __str__(self) -> str:
        verb = "allow" if self.allows else "deny"
        can = ",".join(operation for operation in tables.RULED if operation in self.operations)
        return f"rule {self.pk}: {verb} {self.who} {can}"

    @property
    def who(self) -> str:
        """Whom it speaks of, as on the command line."""
        if self.peer is not None:
            return f"--peer {self.peer.name}"
        if self.group is not None:
            return f"--{'vendor' if self.group.is_vendor else 'group'} {quote(self.group.name)}"
        title = "--any" if self.calling_ae_title is None else f"--title {self.calling_ae_title}"
        return title if self.network is None else f"{title} --from {self.network}"


@dataclass(frozen=True, slots=True)
class MovePolicy:
    """Where a C-MOVE may go: all that is true must hold; nothing true is anywhere."""

    to_same_title: bool = False
    """The destination is the calling AE title."""
    to_same_host: bool = False
    """The destination is at the address that calls."""
    to_same_vendor: bool = False
    """One vendor has the calling AE title and that of the destination."""
    to_listed: bool = False
    """The destination is in the list, itself or by a group."""
    listed: tuple[Peer | Group, ...] = ()


@dataclass(frozen=True, slots=True)
class TitlePolicy:
    """What associations at a title are held to, whoever calls."""

    moves: MovePolicy = MovePolicy()
    allows_get: bool = True
    allows_patient_root: bool = True
    allows_study_root: bool = True
    allows_patient_study_only: bool = True
    requires_find: bool = False
    """C-MOVE and C-GET of a model only beside an accepted C-FIND of it."""
    allows_parallel_store: bool = True
    """Whether an association may store while another at this title may."""
    refuses: bool = False
    """Every association."""
    requires_implementation_uid: bool = False
    max_associations: int | None = None
    """At a time, over all workers of a service; None is no limit but that of the service."""
    max_associations_per_caller: int | None = None
    """Of one calling AE title."""


@dataclass(frozen=True, slots=True)
class OwnTitle:
    """One of our AE titles: its area, what it is open for, its rules, and what it holds associations to."""

    title: str
    area: Area
    can_read: bool
    can_write: bool
    rules: tuple[Rule, ...]
    policy: TitlePolicy = TitlePolicy()
    requires_user: bool = False
    """Callers must prove to be a user."""
    answering: Answering = AS_THE_SERVICE

    @property
    def access(self) -> str:
        """R, W or RW."""
        return "R" * self.can_read + "W" * self.can_write


@dataclass(frozen=True, slots=True)
class NetworkRule:
    """Whose connections are accepted, or closed before anything is read of them."""

    pk: int
    accepts: bool
    clients: Clients

    def __str__(self) -> str:
        return f"network rule {self.pk}: {'allow' if self.accepts else 'deny'} {self.clients}"


@dataclass(frozen=True, slots=True)
class User:
    """Who may prove itself by User Identity negotiation (PS3.7 D.3.3.7)."""

    name: str
    password_hash: str | None = field(repr=False)
    """None: the name alone is enough."""
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Registry:
    """All that the administrator decided, at one revision."""

    revision: int
    areas: Mapping[str, Area]
    titles: Mapping[str, OwnTitle]
    peers: Mapping[str, Peer]
    groups: Mapping[str, Group] = field(default_factory=dict)
    network_rules: tuple[NetworkRule, ...] = ()
    """In the order in which they are asked."""
    users: Mapping[str, User] = field(default_factory=dict)
    profiles: Mapping[str, AssociationProfile] = field(default_factory=dict)
