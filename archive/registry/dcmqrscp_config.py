"""What a dcmqrscp.cfg says, as frozen values, and the file written of them for DCMTK's dcmqrscp; pure.

The values keep what the file says: symbolic names where it has names, access words as they are spelt. Reading is in
`dcmqrscp_reading`. The format is described in DCMTK's dcmqrcnf.txt.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from archive.errors import Misconfigured

GAPS = " \t\v\f\r\n=,"  # between two values; any number of them
QUOTES = "\"'()"  # around a value; each of them ends what any other began
MAX_LINE_BYTES = 511  # dcmqrscp takes the rest of a longer line for another one
ANY = "ANY"
CHARACTER_SET_WORDS = ("override", "fallback", "abort", "discard", "transliterate")

_NEEDS_QUOTES = re.compile(r"\A(?![^#\"'()\s=,][^\s=,]*\Z)")


@dataclass(frozen=True, slots=True)
class Peer:
    """A remote AE: who may associate from `host`, and where a C-MOVE goes to; port 0 is nowhere."""

    ae_title: str
    host: str
    port: int


Members = tuple[Peer | str, ...]
"""Peers, and symbolic names of the host table."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the host table or of the vendor table: a name for some peers."""

    name: str
    members: Members


@dataclass(frozen=True, slots=True)
class StorageQuota:
    """Where dcmqrscp begins to delete."""

    max_studies: int
    max_study_bytes: int


@dataclass(frozen=True, slots=True)
class ApplicationEntity:
    """A line of the AE table: one of dcmqrscp's own AE titles."""

    ae_title: str
    storage_area: str
    access: str
    quota: StorageQuota
    peers: Members | None
    """Who may associate; None is the word ANY."""

    @property
    def is_writable(self) -> bool:
        """Whether dcmqrscp stores here; every other word, `rw` too, means read-only to it."""
        return self.access in ("RW", "WR", "W")

    @property
    def is_readable(self) -> bool:
        """Whether the access word lets peers query and retrieve; dcmqrscp lets them with `W` too."""
        return self.access != "W"


@dataclass(frozen=True, slots=True)
class ResponseCharacterSet:
    """`SpecificCharacterSet`: in which character set dcmqrscp answers a C-FIND."""

    character_set: str = ""
    """Defined term of the set to answer in, or to fall back to; empty is ASCII."""
    override: bool = False
    """Answer in `character_set` whatever the request has."""
    fallback: bool = False
    """Try the other set when the first cannot say it."""
    abort: bool = False
    discard: bool = False
    transliterate: bool = False


@dataclass(frozen=True, slots=True)
class DcmqrscpConfig:
    """A dcmqrscp.cfg; the defaults are those of dcmqrscp."""

    network_tcp_port: int = 104
    max_pdu_bytes: int = 16384
    max_associations: int = 16
    user_name: str = ""
    """User to become once the port is bound; empty is no change."""
    group_name: str = ""
    response_character_set: ResponseCharacterSet | None = None
    hosts: tuple[Entry, ...] = ()
    vendors: tuple[Entry, ...] = ()
    application_entities: tuple[ApplicationEntity, ...] = ()

    def peers(self, members: Members | None) -> tuple[Peer, ...]:
        """`members` with every symbolic name replaced by its peers; a name means its first definition."""
        return _flat(members or (), self._groups())

    def move_destinations(self) -> dict[str, Peer]:
        """Where a C-MOVE to each AE title goes: its first peer in the AE table, or else in the host table."""
        groups = self._groups()
        found: dict[str, Peer] = {}
        for members in (*(each.peers for each in self.application_entities), *(each.members for each in self.hosts)):
            for peer in _flat(members or (), groups):
                found.setdefault(peer.ae_title, peer)
        return found

    def _groups(self) -> dict[str, tuple[Peer, ...]]:
        groups: dict[str, tuple[Peer, ...]] = {}
        for entry in self.hosts:  # a name is defined before it is used
            groups.setdefault(entry.name, _flat(entry.members, groups))
        return groups


def _flat(members: Members, groups: dict[str, tuple[Peer, ...]]) -> tuple[Peer, ...]:
    """Each peer once: groups of groups would grow without bounds."""
    peers = (peer for each in members for peer in (groups[each] if isinstance(each, str) else (each,)))
    return tuple(dict.fromkeys(peers))


def write(config: DcmqrscpConfig) -> bytes:
    """The file that says `config`, as dcmqrscp reads it; raises Misconfigured for what that format cannot say."""
    lines = [
        f"NetworkTCPPort  = {config.network_tcp_port}",
        f"MaxPDUSize      = {config.max_pdu_bytes}",
        f"MaxAssociations = {config.max_associations}",
        *([f"UserName        = {_quoted(config.user_name)}"] if config.user_name else []),
        *([f"GroupName       = {_quoted(config.group_name)}"] if config.group_name else []),
        *([_character_set(config.response_character_set)] if config.response_character_set else []),
        *_table("HostTable", (_entry(each) for each in config.hosts)),
        *_table("VendorTable", (_entry(each) for each in config.vendors)),
        *_table("AETable", (_application_entity(each) for each in config.application_entities)),
    ]
    encoded = [line.encode() + b"\n" for line in lines]
    for line in encoded:
        if len(line) > MAX_LINE_BYTES:
            raise Misconfigured(
                f"dcmqrscp reads lines of {MAX_LINE_BYTES} bytes, this one has {len(line)}; "
                f"give its peers a symbolic name: {line[:40].decode(errors='replace')}..."
            )
    return b"".join(encoded)


def _table(name: str, rows: Iterable[str]) -> list[str]:
    return ["", f"{name} BEGIN", *rows, f"{name} END"]


def _entry(entry: Entry) -> str:
    return f"{_first(entry.name)} = {_members(entry.members)}"


def _application_entity(entity: ApplicationEntity) -> str:
    quota = f"({entity.quota.max_studies}, {_size(entity.quota.max_study_bytes)})"
    words = (_first(entity.ae_title), _quoted(entity.storage_area), _quoted(entity.access), quota)
    peers = ANY if entity.peers is None else _members(entity.peers)
    if entity.peers and entity.peers[0] == ANY:
        raise Misconfigured(
            f"{entity.ae_title}: dcmqrscp takes a symbolic name {ANY} for anybody; give it another name"
        )
    return f"{' '.join(words)} {peers}"


def _members(members: Members) -> str:
    if not members:
        raise Misconfigured("dcmqrscp does not take an entry without peers")
    return ", ".join(_symbol(each) if isinstance(each, str) else _triple(each) for each in members)


def _symbol(name: str) -> str:
    if "," in name:
        raise Misconfigured(f"dcmqrscp takes a symbolic name with a comma for a peer: {name!r}")
    return _quoted(name)


def _triple(peer: Peer) -> str:
    for word in (peer.ae_title, peer.host):
        if not word or any(character in GAPS + QUOTES + "\0" for character in word):
            raise Misconfigured(f"dcmqrscp cannot read {word!r} as AE title or host of a peer")
    return f"({peer.ae_title}, {peer.host}, {peer.port})"


def _first(name: str) -> str:
    """The first value of a line; the name of a table in quotes is no longer the end of that table."""
    return f'"{name}"' if name in ("HostTable", "VendorTable", "AETable") else _quoted(name)


def _quoted(value: str) -> str:
    if any(character in "\n\0" for character in value):
        raise Misconfigured(f"dcmqrscp cannot read {value!r}: it is more than one line")
    if not _NEEDS_QUOTES.match(value):
        return value
    if any(character in QUOTES for character in value):
        raise Misconfigured(f"dcmqrscp cannot read {value!r}: it needs quotes and contains one of {' '.join(QUOTES)}")
    return f'"{value}"'


def _size(size_bytes: int) -> str:
    for unit, factor in (("gb", 1 << 30), ("mb", 1 << 20), ("kb", 1 << 10)):
        if size_bytes % factor == 0:
            return f"{size_bytes // factor}{unit}"
    return f"{size_bytes}b"


def _character_set(policy: ResponseCharacterSet) -> str:
    if policy.character_set in CHARACTER_SET_WORDS:
        raise Misconfigured(f"dcmqrscp takes {policy.character_set!r} for an option, not for a character set")
    flags = [word for word in CHARACTER_SET_WORDS if getattr(policy, word)]
    return f"SpecificCharacterSet = {', '.join((_quoted(policy.character_set), *flags))}"
