"""What dcmqrscp takes silently, and does differently from what was meant, or than this archive does; pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from archive.dicom import charset
from archive.registry.dcmqrscp_config import ANY, ApplicationEntity, DcmqrscpConfig, Entry, Peer
from archive.registry.notices import Notice

MAX_AE_TITLE_CHARACTERS = 16
MAX_STUDIES, MAX_STUDY_BYTES = 500, 1 << 30  # dcmqrscp takes no more, whatever the file says


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines that the rows of the tables stand on."""

    hosts: tuple[int, ...]
    vendors: tuple[int, ...]
    application_entities: tuple[int, ...]


def doubts(config: DcmqrscpConfig, lines: Lines) -> Iterator[Notice]:
    """What to tell about a configuration that dcmqrscp accepts."""
    yield from _global(config)
    hosts = tuple(zip(lines.hosts, config.hosts, strict=True))
    vendors = tuple(zip(lines.vendors, config.vendors, strict=True))
    entities = tuple(zip(lines.application_entities, config.application_entities, strict=True))
    yield from _names("symbolic name", ((line, entry.name) for line, entry in hosts), "the first definition counts")
    yield from _names(
        "vendor", ((line, entry.name) for line, entry in vendors), "its peers are those of all such lines"
    )
    yield from _names(
        "AE title",
        ((line, entity.ae_title) for line, entity in entities),
        "area, access and quota of the first row count, the peers of all",
    )
    yield from _unused(config, hosts)
    for line, entity in entities:
        yield from _entity(line, entity)
    written = [(line, entry.members) for line, entry in (*hosts, *vendors)]
    written += [(line, entity.peers or ()) for line, entity in entities]
    peers = [(line, each) for line, members in written for each in members if isinstance(each, Peer)]
    for line, peer in peers:
        yield from _peer(line, peer)
    yield from _addresses(sorted(peers, key=lambda each: each[0]), config.move_destinations())


def _global(config: DcmqrscpConfig) -> Iterator[Notice]:
    if not config.application_entities:
        yield Notice(0, "no AE title is defined: nobody can associate")
    policy = config.response_character_set
    if policy and not charset.is_known(policy.character_set):
        yield Notice(0, f"SpecificCharacterSet: {policy.character_set!r} is no defined term of a character set")


def _names(noun: str, named: Iterable[tuple[int, str]], consequence: str) -> Iterator[Notice]:
    first: dict[str, int] = {}
    for line, name in named:
        if first.setdefault(name, line) != line:
            yield Notice(line, f"{noun} {name} is defined on line {first[name]} already; {consequence}")


def _unused(config: DcmqrscpConfig, hosts: Iterable[tuple[int, Entry]]) -> Iterator[Notice]:
    users = (*config.hosts, *config.vendors)
    used = {each for entry in users for each in entry.members if isinstance(each, str)}
    used |= {each for entity in config.application_entities for each in entity.peers or () if isinstance(each, str)}
    for line, entry in hosts:
        if entry.name == ANY:
            yield Notice(line, f"a symbolic name {ANY} is never looked up in the AE table: there it means anybody")
        elif entry.name not in used:
            yield Notice(line, f"symbolic name {entry.name} is not used; its peers are destinations of C-MOVE only")


def _entity(line: int, entity: ApplicationEntity) -> Iterator[Notice]:
    title = entity.ae_title
    yield from _ae_title(line, title)
    if entity.access == "W":
        yield Notice(
            line, f"{title}: dcmqrscp lets peers query and retrieve with W too, this archive does not; or say RW"
        )
    elif entity.access not in ("R", "RW", "WR"):
        yield Notice(line, f"{title}: access {entity.access!r} is not one of R, RW, W, and means read-only")
    if not entity.storage_area.startswith("/"):
        yield Notice(line, f"{title}: {entity.storage_area} is a folder below the one that dcmqrscp is started in")
    if entity.quota.max_studies > MAX_STUDIES:
        yield Notice(
            line, f"{title}: dcmqrscp holds {MAX_STUDIES} studies at most, this archive {entity.quota.max_studies}"
        )
    if entity.quota.max_study_bytes > MAX_STUDY_BYTES:
        yield Notice(
            line, f"{title}: dcmqrscp holds 1 GiB of a study at most, this archive {entity.quota.max_study_bytes} bytes"
        )


def _peer(line: int, peer: Peer) -> Iterator[Notice]:
    yield from _ae_title(line, peer.ae_title)
    if peer.port == 0:
        yield Notice(line, f"{peer.ae_title}: port 0 is no destination of a C-MOVE")
    if _is_like_a_host(peer.ae_title) and not _is_like_a_host(peer.host):
        yield Notice(
            line,
            f"({peer.ae_title}, {peer.host}, {peer.port}): the AE title comes first; {peer.ae_title} is taken for it",
        )


def _ae_title(line: int, title: str) -> Iterator[Notice]:
    if len(title) > MAX_AE_TITLE_CHARACTERS or not title.isascii() or not title.isprintable() or "\\" in title:
        yield Notice(line, f"{title!r} can be no AE title; no peer can have it or ask for it (PS3.5 6.2, VR AE)")


def _is_like_a_host(text: str) -> bool:
    return "." in text or text == text.lower() != text.upper()


def _addresses(peers: Iterable[tuple[int, Peer]], destinations: dict[str, Peer]) -> Iterator[Notice]:
    seen: dict[str, tuple[int, Peer]] = {}
    for line, peer in peers:
        first_line, first = seen.setdefault(peer.ae_title, (line, peer))
        if (first.host.lower(), first.port) != (peer.host.lower(), peer.port):
            goes = destinations.get(peer.ae_title, first)  # a peer of vendors only is no destination
            yield Notice(
                line,
                f"{peer.ae_title} has another address on line {first_line}; a C-MOVE goes to {goes.host}:{goes.port}",
            )
