"""Read a dcmqrscp.cfg as DCMTK's dcmqrscp does, and say aloud what dcmqrscp would take silently; pure.

What dcmqrscp refuses is refused, with the line and what was expected. What it takes for something else than is written
there is a notice, and where the meaning cannot be known (a size without unit, a second AE table) a refusal. The grammar
is that of dcmqrscp 3.6.7 and newer: values lie between gaps (white space, `=`, `,`) or between quotes (`"`, `'`, `(`,
`)`, each of which ends what any other began); a line is a comment only when `#` is its first character.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from archive.errors import Misconfigured
from archive.registry.dcmqrscp_config import (
    ANY,
    CHARACTER_SET_WORDS,
    GAPS,
    MAX_LINE_BYTES,
    ApplicationEntity,
    DcmqrscpConfig,
    Entry,
    Members,
    Peer,
    ResponseCharacterSet,
    StorageQuota,
)
from archive.registry.dcmqrscp_doubts import Lines, doubts
from archive.registry.notices import Notice

# Read by versions of the 1990s; dcmqrscp still takes these lines and does nothing.
OBSOLETE = (
    "ApplicationTitle",
    "ApplicationContext",
    "ImplementationClass",
    "ImplementationVersion",
    "NetworkType",
    "Display",
    "DisplayPort",
)
MIN_PDU_BYTES, MAX_PDU_BYTES = 4096, 131_072
_DEFAULT = DcmqrscpConfig()
_MAX_INT, _MAX_LONG = (1 << 31) - 1, (1 << 63) - 1

_BARE = re.compile(r"([^\s=,]*)[\s=,]+", re.ASCII)
_QUOTED = re.compile(r"[\"'()]([^\"'()]*)[\"'()][\s=,]*", re.ASCII)
_WORD = re.compile(r"\S+", re.ASCII)
_GAP = re.compile(r"[\s=,]+", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]+")
_QUOTA = re.compile(r"\s*\+?([0-9]+)\s*,\s*([0-9]+)(b|kb|mb|gb)\s*", re.ASCII | re.IGNORECASE)
_FACTORS = {"b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}


@dataclass(frozen=True, slots=True)
class Reading:
    """A configuration and what is odd about its file, by line."""

    config: DcmqrscpConfig
    notices: tuple[Notice, ...]


def read(data: bytes, source: str) -> Reading:
    """The configuration that the file `source` holds; raises Misconfigured."""
    return _Reader(data, source).read()


class _Reader:
    def __init__(self, data: bytes, source: str) -> None:
        self._source = source
        self._notices: list[Notice] = []
        self._seen: dict[str, int] = {}
        self._number = 0
        self._rows = self._lines(data)
        self._port = _DEFAULT.network_tcp_port
        self._pdu_bytes = _DEFAULT.max_pdu_bytes
        self._associations = _DEFAULT.max_associations
        self._user = self._group = ""
        self._character_set: ResponseCharacterSet | None = None
        self._hosts: list[tuple[int, Entry]] = []
        self._names: set[str] = set()  # symbolic names defined so far
        self._vendors: list[tuple[int, Entry]] = []
        self._entities: list[tuple[int, ApplicationEntity]] = []

    def read(self) -> Reading:
        for text in self._rows:
            word = _WORD.search(text)
            if word:
                start = _GAP.match(text, word.end())  # `=`, too, parts the mnemonic from its value
                self._statement(word[0], text[start.end() if start else word.end() :])
        config = DcmqrscpConfig(
            network_tcp_port=self._port,
            max_pdu_bytes=self._pdu_bytes,
            max_associations=self._associations,
            user_name=self._user,
            group_name=self._group,
            response_character_set=self._character_set,
            hosts=tuple(entry for _, entry in self._hosts),
            vendors=tuple(entry for _, entry in self._vendors),
            application_entities=tuple(entity for _, entity in self._entities),
        )
        lines = Lines(*(tuple(line for line, _ in rows) for rows in (self._hosts, self._vendors, self._entities)))
        notices = (*self._notices, *doubts(config, lines))
        return Reading(config, tuple(sorted(notices, key=lambda notice: notice.line)))

    # Lines and values.

    def _lines(self, data: bytes) -> Iterator[str]:
        """Lines that say something, each with a newline at its end."""
        lines = data.split(b"\n")
        for number, raw in enumerate(lines, start=1):
            self._number = number
            if raw[:1] in (b"", b"#", b"\r"):
                continue
            if b"\0" in raw:
                raise self._error("expected text, found a NUL byte")
            try:
                text = raw.decode() + "\n"
            except UnicodeDecodeError:
                raise self._error("expected UTF-8; convert the file, for instance with iconv") from None
            if len(raw) >= MAX_LINE_BYTES:
                self._notice(f"dcmqrscp reads lines of {MAX_LINE_BYTES} bytes and takes the rest for another line")
            if number == len(lines) and _WORD.findall(text)[1:] != ["END"]:
                self._notice("dcmqrscp loses the last value of a last line that does not end with a newline")
            yield text

    def _error(self, what: str) -> Misconfigured:
        return Misconfigured(f"{self._source}, line {self._number}: {what}")

    def _notice(self, what: str) -> None:
        self._notices.append(Notice(self._number, what))

    def _values(self, text: str) -> Iterator[tuple[str, str]]:
        """Each value of `text`, and what follows it."""
        while text:
            found = _QUOTED.match(text) if text[0] in "\"'()" else _BARE.match(text)
            if found is None:
                self._notice(f"a quote is not closed; as dcmqrscp does, the rest is not read: {text.strip()}")
                return
            text = text[found.end() :]
            yield found[1], text

    # Statements outside of the tables.

    def _statement(self, mnemonic: str, text: str) -> None:
        match mnemonic:
            case "HostTable" | "VendorTable" | "AETable":
                self._table(mnemonic, text)
                return
            case "NetworkTCPPort":
                self._port = self._integer(text, self._port, 0, 65535) or _DEFAULT.network_tcp_port
            case "MaxPDUSize":
                self._pdu_bytes = self._integer(text, self._pdu_bytes, 0, MAX_PDU_BYTES) or _DEFAULT.max_pdu_bytes
                if self._pdu_bytes < MIN_PDU_BYTES:
                    raise self._error(f"expected {MIN_PDU_BYTES} to {MAX_PDU_BYTES} bytes, found {self._pdu_bytes}")
            case "MaxAssociations":
                self._associations = self._integer(text, self._associations, 1, _MAX_INT)
            case "UserName":
                self._user = next((value for value, _ in self._values(text)), "")
            case "GroupName":
                self._group = next((value for value, _ in self._values(text)), "")
            case "SpecificCharacterSet":
                self._character_set = self._response_character_set(text)
            case _ if mnemonic in OBSOLETE:
                self._notice(f"{mnemonic} is obsolete and does nothing")
                return
            case _:
                raise self._error(f"{mnemonic!r} is not known; expected a global parameter or the begin of a table")
        if mnemonic in self._seen:
            self._notice(f"{mnemonic} is said again; line {self._seen[mnemonic]} does not count")
        self._seen[mnemonic] = self._number

    def _integer(self, text: str, so_far: int, low: int, high: int) -> int:
        """A number as C reads it: leading digits count; without any, what was in force silently stays so."""
        found = _NUMBER.match(text)
        if found is None:
            self._notice(f"expected a number, found {text.strip()!r}; as in dcmqrscp, {so_far} stays in force")
            return so_far
        if text[found.end() :].strip():
            self._notice(f"only {found[0]} of {text.strip()!r} is read")
        # Bounded before it is converted: Python takes its time over numbers of thousands of digits.
        value = int(found[0]) if len(found[0]) < 20 else high + 1
        if not low <= value <= high:
            raise self._error(f"expected a number from {low} to {high}, found {found[0][:20]}")
        return value

    def _response_character_set(self, text: str) -> ResponseCharacterSet:
        values = [value for value, _ in self._values(text)]
        sets = [value for value in values if value not in CHARACTER_SET_WORDS]
        for lost in sets[:-1]:
            self._notice(f"{lost!r} does not count: a later word of the line is taken for the character set")
        flags = {word: word in values for word in CHARACTER_SET_WORDS}
        return ResponseCharacterSet(sets[-1] if sets else "", **flags)

    # Tables.

    def _table(self, name: str, text: str) -> None:
        begin = _WORD.search(text)
        if begin is None or begin[0] != "BEGIN":
            raise self._error(f"expected {name} BEGIN, found {name} {begin[0] if begin else ''}".rstrip())
        if name == "AETable" and name in self._seen:
            raise self._error(f"expected one AETable; dcmqrscp forgets that of line {self._seen[name]}: join them")
        self._seen[name] = begins = self._number
        for row in self._rows:
            words = _WORD.findall(row)
            if words[:1] == [name]:
                if words[1:2] == ["END"]:
                    return
                raise self._error(f"expected {name} END, found {' '.join(words[:2])}")
            if row[0] in GAPS:
                self._notice("dcmqrscp refuses or misreads a line in a table that begins with white space")
                row = row.lstrip(GAPS)
            if row:
                self._row(name, row)
        self._number = begins
        raise self._error(f"the {name} that begins here has no END")

    def _row(self, table: str, text: str) -> None:
        values = self._values(text)
        first, text = next(values, ("", ""))
        if table == "AETable":
            self._entities.append((self._number, self._application_entity(first, text)))
            return
        entry = Entry(first, self._members(text))
        if not entry.members:
            raise self._error(f"expected peers or symbolic names after {first!r}")
        if table == "HostTable":
            self._names.add(first)
        (self._hosts if table == "HostTable" else self._vendors).append((self._number, entry))

    def _members(self, text: str) -> Members:
        members: list[Peer | str] = []
        for value, _ in self._values(text):
            if "," in value:
                members.append(self._peer(value))
            elif value in self._names:
                members.append(value)
            else:
                raise self._error(
                    f"symbolic name {value!r} is not defined above; expected a name or (AETitle, HostName, Port)"
                )
        return tuple(members)

    def _peer(self, value: str) -> Peer:
        words = [word for word in _GAP.split(value) if word]
        if len(words) != 3 or not _NUMBER.fullmatch(words[2]):
            raise self._error(f"expected (AETitle, HostName, Port), found ({value})")
        if value[0] in GAPS:
            self._notice(f"dcmqrscp reads an empty AE title here, as a gap follows the quote; read as {words[0]}")
        port = int(words[2]) if len(words[2]) < 8 else -1
        if not 0 <= port <= 65535:
            raise self._error(f"expected a port from 0 to 65535, found {words[2][:20]}")
        return Peer(words[0], words[1], port)

    def _application_entity(self, ae_title: str, text: str) -> ApplicationEntity:
        values = self._values(text)
        area, text = next(values, ("", text))
        access, text = next(values, ("", text))
        quota, text = next(values, ("", text))
        if not ae_title or not area or not access or not text:
            raise self._error("expected AETitle StorageArea Access Quota Peers")
        found = _QUOTA.fullmatch(quota)
        size = found and found[3].lower()
        studies = int(found[1]) if found and len(found[1]) < 20 else 0
        study_bytes = int(found[2]) * _FACTORS[size] if found and size and len(found[2]) < 20 else 0
        if not 0 < studies <= _MAX_INT or not 0 < study_bytes <= _MAX_LONG:
            raise self._error(f"expected a quota such as (10, 1024mb) with b, kb, mb or gb, found ({quota[:60]})")
        return ApplicationEntity(ae_title, area, access, StorageQuota(studies, study_bytes), self._peers(text))

    def _peers(self, text: str) -> Members | None:
        first, rest = next(self._values(text), ("", ""))
        if first == ANY:
            if rest.strip():
                self._notice(f"after {ANY} nothing is read: {rest.strip()}")
            return None
        members = self._members(text)
        if not members:
            raise self._error("expected peers, symbolic names or ANY")
        return members
