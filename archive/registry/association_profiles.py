"""Association profiles in the dialect of DCMTK's asconfig files, read and written: what is negotiated; pure.

A file has `[[Supersections]]` of `[Sections]` of `Key = Value`. Sections name lists of transfer syntaxes, of
presentation contexts, of roles and of extended negotiations, and profiles join such lists. Case and white space count
in values only. A profile here is whole: the lists it names are in it. Described in DCMTK's asconfig.txt; what DCMTK
refuses is refused, what it silently leaves out is a notice. DCMTK's names of UIDs are read; UIDs are written, as names
differ between its versions.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

from archive.dicom import dcmtk_names, uids
from archive.errors import Misconfigured
from archive.registry.notices import Notice

MAX_CONTEXTS = 128  # of an association request (PS3.8 9.3.2.2)
MAX_EXTENDED_BYTES = 1024
TRANSFER_SYNTAXES, CONTEXTS, PROFILES = "TransferSyntaxes", "PresentationContexts", "Profiles"
ROLES, EXTENDED = "SCPSCURoleSelection", "ExtendedNegotiation"

# "Local" byte order is little endian on every machine this runs on.
_BYTE_ORDERS = {
    "LocalEndianExplicit": uids.EXPLICIT_VR_LITTLE_ENDIAN,
    "OppositeEndianExplicit": uids.EXPLICIT_VR_BIG_ENDIAN,
}
_HEADER = re.compile(r"\s*+(\[[\[\s]*+)([^\[\]]*+)((?:\]\s*+)++)")  # possessive: linear, whatever the line
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
_SPACE = re.compile(r"\s+")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")


@dataclass(frozen=True, slots=True)
class ProfileContext:
    """A presentation context: an abstract syntax and its transfer syntaxes, best first."""

    sop_class: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProfileRole:
    """The roles to negotiate for a SOP Class (PS3.7 D.3.3.4): of the requestor as SCU, as SCP, or as both."""

    sop_class: str
    is_scu: bool
    is_scp: bool


@dataclass(frozen=True, slots=True)
class ProfileExtension:
    """Service class application information of a SOP Class (PS3.7 D.3.3.5), as it goes over the wire."""

    sop_class: str
    information: bytes


@dataclass(frozen=True, slots=True)
class AssociationProfile:
    """All that an association negotiates."""

    name: str
    contexts: tuple[ProfileContext, ...]
    roles: tuple[ProfileRole, ...] = ()
    extensions: tuple[ProfileExtension, ...] = ()

    def check_acceptor(self) -> None:
        """Raise Misconfigured if an acceptor cannot use it: each SOP Class may stand there once."""
        seen: set[str] = set()
        for context in self.contexts:
            if context.sop_class in seen:
                raise Misconfigured(
                    f"profile '{self.name}' is not valid for incoming use, duplicate abstract syntaxes found: "
                    f"{_called(context.sop_class)}"
                )
            seen.add(context.sop_class)

    def check_requestor(self) -> None:
        """Raise Misconfigured if a requestor cannot use it: an association has 128 contexts at most."""
        if len(self.contexts) > MAX_CONTEXTS:
            raise Misconfigured(
                f"profile '{self.name}' is not valid for outgoing use, too many presentation contexts: "
                f"{len(self.contexts)}, {MAX_CONTEXTS} are allowed"
            )


@dataclass(frozen=True, slots=True)
class ProfileReading:
    """The profiles of a file, and what is odd about it, by line."""

    profiles: tuple[AssociationProfile, ...]
    notices: tuple[Notice, ...]

    def profile(self, name: str) -> AssociationProfile:
        """One by its name, whatever its case; raises Misconfigured that says which there are."""
        for each in self.profiles:
            if _key(each.name) == _key(name):
                return each
        known = ", ".join(each.name for each in self.profiles)
        raise Misconfigured(f"unknown configuration profile name: {name}; expected one of {known}")


def read(data: bytes, source: str) -> ProfileReading:
    """The profiles that the file `source` holds; raises Misconfigured that names the line."""
    return _Reader(source).read(data.decode("latin-1"))  # never fails; what is not ASCII can only be in comments


def write(profiles: Iterable[AssociationProfile]) -> bytes:
    """The file that says `profiles`; raises Misconfigured for what it cannot say."""
    return _Writer().write(tuple(profiles)).encode()


def _key(name: str) -> str:
    return _SPACE.sub("", name).upper()


def _called(uid: str) -> str:
    name = dcmtk_names.name_of(uid)
    return f"{name} ({uid})" if name else uid


# Reading.


@dataclass(slots=True)
class _Section:
    name: str
    line: int
    entries: dict[str, tuple[int, str]] = field(default_factory=dict)


@dataclass(slots=True)
class _Supersection:
    name: str
    line: int
    sections: list[_Section] = field(default_factory=list)


class _Reader:
    def __init__(self, source: str) -> None:
        self._source = source
        self._notices: list[Notice] = []
        self._files: dict[str, _Supersection] = {}

    def read(self, text: str) -> ProfileReading:
        self._parse(text)
        syntaxes = self._lists(self._required(TRANSFER_SYNTAXES), "TransferSyntax", self._transfer_syntax)
        contexts = self._lists(
            self._required(CONTEXTS), "PresentationContext", lambda line, value: self._context(line, value, syntaxes)
        )
        roles = self._lists(self._files.get(_key(ROLES)), "Role", self._role)
        extensions = self._lists(self._files.get(_key(EXTENDED)), "ExtendedNegotiation", self._extension)
        profiles: dict[str, AssociationProfile] = {}
        for section in self._required(PROFILES).sections:
            if _key(section.name) in profiles:
                raise self._error(section.line, f"two profiles are named {section.name}")
            profiles[_key(section.name)] = self._profile(section, contexts, roles, extensions)
        notices = tuple(sorted(self._notices, key=lambda notice: notice.line))
        return ProfileReading(tuple(profiles.values()), notices)

    def _error(self, line: int, what: str) -> Misconfigured:
        return Misconfigured(f"{self._source}, line {line}: {what}")

    def _required(self, name: str) -> _Supersection:
        found = self._files.get(_key(name))
        if found is None:
            raise Misconfigured(f"{self._source}: cannot find section [[{name}]]")
        return found

    # Lines into sections of entries.

    def _parse(self, text: str) -> None:
        supersection: _Supersection | None = None
        section: _Section | None = None
        entry: tuple[_Section, str] | None = None  # the value that an indented line goes on with
        for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
            if line.startswith("#") or not line.strip():
                continue
            if entry is not None and line[0] in " \t":
                owner, key = entry
                first, value = owner.entries[key]
                owner.entries[key] = (first, f"{value}\n{line.strip()}")
                continue
            entry = None
            while header := _HEADER.match(line):
                line = line[header.end() :]
                level = header[1].count("[")
                if header[3].count("]") != level:
                    raise self._error(number, f"expected as many ] as [, found {header[0].strip()}")
                name = _NOT_IN_NAMES.sub("", header[2])
                if level == 1:
                    section = self._open(supersection, name, number)
                else:
                    supersection, section = self._open_supersection(name, number), None
            if line.strip():
                key, equals, value = line.partition("=")
                if not equals or "[" in key:
                    raise self._error(number, f"expected [Section] or Key = Value, found {line.strip()}")
                key = _NOT_IN_NAMES.sub("", key).upper()
                entry = self._enter(section, key, number, value.strip())

    def _open_supersection(self, name: str, line: int) -> _Supersection:
        opened = _Supersection(name, line)
        first = self._files.setdefault(_key(name), opened)
        if first is not opened:
            self._notices.append(
                Notice(line, f"[[{name}]] is there already, on line {first.line}; this one is not read")
            )
        elif _key(name) not in map(_key, (TRANSFER_SYNTAXES, CONTEXTS, PROFILES, ROLES, EXTENDED)):
            self._notices.append(Notice(line, f"[[{name}]] is not known and not read"))
        return opened

    def _open(self, supersection: _Supersection | None, name: str, line: int) -> _Section:
        section = _Section(name, line)
        if supersection is None:
            self._notices.append(Notice(line, f"[{name}] stands before any [[Supersection]] and is not read"))
        else:
            supersection.sections.append(section)
        return section

    def _enter(self, section: _Section | None, key: str, line: int, value: str) -> tuple[_Section, str]:
        if section is None:
            self._notices.append(Notice(line, f"{key} stands before any [Section] and is not read"))
            section = _Section("", line)  # for the lines that go on with the value
        if key in section.entries:
            self._notices.append(Notice(line, f"{key} is there already, on line {section.entries[key][0]}; not read"))
            section = _Section("", line)
        section.entries[key] = (line, value)
        return section, key

    # Sections into lists.

    def _lists(self, supersection: _Supersection | None, word: str, parse) -> dict[str, tuple]:
        """Every section's list, by its name: the entries `word`1, `word`2, ... as far as they go."""
        lists: dict[str, tuple] = {}
        for section in supersection.sections if supersection else ():
            known: set[str] = set()
            found = []
            for number in count(1):
                key = f"{word}{number}".upper()
                if key not in section.entries:
                    break
                known.add(key)
                found.append(parse(*section.entries[key]))
            for key, (line, _) in section.entries.items():
                if key not in known:
                    self._notices.append(
                        Notice(line, f"{key} is not read: expected {word}{len(found) + 1}, or nothing")
                    )
            if found:
                lists[_key(section.name)] = (*lists.get(_key(section.name), ()), *found)
        return lists

    def _uid(self, line: int, name: str, what: str) -> str:
        name = name.strip().removeprefix("=")
        uid = name if name[:1].isdigit() else _BYTE_ORDERS.get(name) or dcmtk_names.uid_named(name) or ""
        if not uids.is_uid(uid):
            raise self._error(line, f"not a valid {what} UID or name: {name!r}")
        return uid

    def _transfer_syntax(self, line: int, value: str) -> str:
        return self._uid(line, value, "transfer syntax")

    def _parts(self, line: int, value: str, second: str) -> tuple[str, str]:
        first, backslash, rest = value.partition("\\")
        if not backslash:
            raise self._error(line, f"missing '\\', expected SOPClass\\{second}, found {value!r}")
        return self._uid(line, first, "abstract syntax"), rest

    def _context(self, line: int, value: str, syntaxes: Mapping[str, tuple]) -> ProfileContext:
        sop_class, name = self._parts(line, value, "TransferSyntaxes")
        if _key(name) not in syntaxes:
            raise self._error(line, f"transfer syntax key undefined: {name.strip()}")
        return ProfileContext(sop_class, syntaxes[_key(name)])

    def _role(self, line: int, value: str) -> ProfileRole:
        sop_class, role = self._parts(line, value, "Role")
        role = role.strip().upper()
        if role not in ("SCU", "SCP", "BOTH"):
            raise self._error(line, f"unknown role {role!r}, expected SCU, SCP or BOTH")
        return ProfileRole(sop_class, is_scu=role != "SCP", is_scp=role != "SCU")

    def _extension(self, line: int, value: str) -> ProfileExtension:
        sop_class, hexadecimal = self._parts(line, value, "hexadecimal bytes")
        if not _HEX.fullmatch(hexadecimal) or len(hexadecimal) > 2 * MAX_EXTENDED_BYTES:
            raise self._error(line, f"expected 1 to {MAX_EXTENDED_BYTES} bytes, two hexadecimal digits each")
        return ProfileExtension(sop_class, bytes.fromhex(hexadecimal))

    # Lists into profiles.

    def _profile(
        self,
        section: _Section,
        contexts: Mapping[str, tuple],
        roles: Mapping[str, tuple],
        extensions: Mapping[str, tuple],
    ) -> AssociationProfile:
        if not section.name:
            raise self._error(section.line, "expected a name of letters, digits, - and _ for a profile")
        joined: dict[str, tuple] = {}
        for name, lists in ((CONTEXTS, contexts), (ROLES, roles), (EXTENDED, extensions)):
            line, value = section.entries.get(_key(name), (section.line, None))
            if value is not None and _key(value) not in lists:
                raise self._error(line, f"{name} key undefined: {value}")
            joined[name] = lists[_key(value)] if value is not None else ()
        if not joined[CONTEXTS]:
            raise self._error(section.line, f"no {CONTEXTS} entry in section {section.name}")
        for key, (line, _) in section.entries.items():
            if key not in map(_key, joined):
                self._notices.append(Notice(line, f"{key} is not known and not read"))
        proposed = {context.sop_class for context in joined[CONTEXTS]}
        for name in (ROLES, EXTENDED):
            seen: set[str] = set()
            for each in joined[name]:
                if each.sop_class not in proposed:
                    raise self._error(section.line, f"{name} names {_called(each.sop_class)}, the contexts do not")
                if each.sop_class in seen:
                    raise self._error(section.line, f"{name} names {_called(each.sop_class)} twice")
                seen.add(each.sop_class)
        return AssociationProfile(section.name, joined[CONTEXTS], joined[ROLES], joined[EXTENDED])


# Writing.


class _Writer:
    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {
            name: [] for name in (TRANSFER_SYNTAXES, CONTEXTS, ROLES, EXTENDED, PROFILES)
        }
        self._syntaxes: dict[tuple[str, ...], str] = {}

    def write(self, profiles: tuple[AssociationProfile, ...]) -> str:
        names = [_key(profile.name) for profile in profiles]
        for profile in profiles:
            if not _NAME.fullmatch(profile.name) or names.count(_key(profile.name)) > 1:
                raise Misconfigured(f"a profile needs a name of its own of letters, digits, - and _: {profile.name!r}")
            self._profile(profile)
        optional = (ROLES, EXTENDED)
        parts = ([f"[[{name}]]", *lines] for name, lines in self._lines.items() if lines or name not in optional)
        return "\n\n".join("\n".join(lines) for lines in parts) + "\n"

    def _profile(self, profile: AssociationProfile) -> None:
        if not profile.contexts:
            raise Misconfigured(f"profile '{profile.name}' has no presentation context")
        name = profile.name
        contexts = [(each.sop_class, self._syntax_list(each.transfer_syntaxes)) for each in profile.contexts]
        roles = [(each.sop_class, _role(each)) for each in profile.roles]
        extensions = [(each.sop_class, _information(each)) for each in profile.extensions]
        self._section(CONTEXTS, name, _numbered("PresentationContext", contexts))
        references = [f"{CONTEXTS} = {name}"]
        for supersection, word, entries in ((ROLES, "Role", roles), (EXTENDED, "ExtendedNegotiation", extensions)):
            if entries:
                self._section(supersection, name, _numbered(word, entries))
                references.append(f"{supersection} = {name}")
        self._section(PROFILES, name, references)

    def _syntax_list(self, transfer_syntaxes: tuple[str, ...]) -> str:
        if not transfer_syntaxes:
            raise Misconfigured("a presentation context needs a transfer syntax")
        if transfer_syntaxes not in self._syntaxes:
            name = self._syntaxes[transfer_syntaxes] = f"List{len(self._syntaxes) + 1}"
            self._section(TRANSFER_SYNTAXES, name, _numbered("TransferSyntax", [(uid,) for uid in transfer_syntaxes]))
        return self._syntaxes[transfer_syntaxes]

    def _section(self, supersection: str, name: str, lines: Iterable[str]) -> None:
        self._lines[supersection] += ["", f"[{name}]", *lines]


def _role(role: ProfileRole) -> str:
    if not role.is_scu and not role.is_scp:
        raise Misconfigured(f"the format has no word for neither role: {_called(role.sop_class)}")
    return "BOTH" if role.is_scu and role.is_scp else "SCU" if role.is_scu else "SCP"


def _information(extension: ProfileExtension) -> str:
    if not 0 < len(extension.information) <= MAX_EXTENDED_BYTES:
        raise Misconfigured(f"the format holds 1 to {MAX_EXTENDED_BYTES} bytes: {_called(extension.sop_class)}")
    return extension.information.hex()


def _numbered(word: str, entries: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for number, (uid, *rest) in enumerate(entries, start=1):
        name = dcmtk_names.name_of(uid)
        if name:
            yield f"# {name}"
        yield f"{word}{number} = {chr(92).join((uid, *rest))}"
