"""A dcmqrscp.cfg that is written reads back as it was, and no bytes can make reading fail but with Misconfigured."""

from hypothesis import assume, given
from hypothesis import strategies as st

from archive.errors import Misconfigured
from archive.registry.dcmqrscp_config import (
    CHARACTER_SET_WORDS,
    ApplicationEntity,
    DcmqrscpConfig,
    Entry,
    Members,
    Peer,
    ResponseCharacterSet,
    StorageQuota,
    write,
)
from archive.registry.dcmqrscp_reading import read

# Any text without quotes can be said, and with quotes what needs none itself.
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\n\0\"'()"), max_size=12)
BARE = st.text("aZ1#\"'().\\ä", max_size=12).map(lambda text: f"x{text}")
NAMES = st.sampled_from(("a", "b c", "HostTable", "AETable END", "#x", "", "it's")) | TEXT | BARE
WORDS = st.text("ABCxyz019._-:/ä#", min_size=1, max_size=20)
FILLED = NAMES.filter(bool)
PORTS = st.integers(0, 65535)
PEERS = st.builds(Peer, WORDS, WORDS, PORTS)
POLICIES = st.builds(ResponseCharacterSet, NAMES, **{word: st.booleans() for word in CHARACTER_SET_WORDS})
QUOTAS = st.builds(
    StorageQuota, st.integers(1, (1 << 31) - 1), st.integers(1, (1 << 63) - 1) | st.sampled_from((1 << 20, 3 << 30))
)


@st.composite
def configurations(draw: st.DrawFn) -> DcmqrscpConfig:
    hosts: list[Entry] = []

    def members() -> Members:
        names = [entry.name for entry in hosts if "," not in entry.name]
        known = st.sampled_from(names) if names else st.nothing()
        return tuple(draw(st.lists(PEERS | known, min_size=1, max_size=4)))

    for name in draw(st.lists(NAMES, max_size=4)):
        hosts.append(Entry(name, members()))
    vendors = tuple(Entry(name, members()) for name in draw(st.lists(NAMES, max_size=3)))
    entities = tuple(
        ApplicationEntity(title, draw(FILLED), draw(FILLED), draw(QUOTAS), members() if draw(st.booleans()) else None)
        for title in draw(st.lists(FILLED, max_size=3))
    )
    return DcmqrscpConfig(
        network_tcp_port=draw(st.integers(1, 65535)),
        max_pdu_bytes=draw(st.integers(4096, 131072)),
        max_associations=draw(st.integers(1, 1000)),
        user_name=draw(NAMES),
        group_name=draw(NAMES),
        response_character_set=draw(st.none() | POLICIES),
        hosts=tuple(hosts),
        vendors=vendors,
        application_entities=entities,
    )


@given(config=configurations())
def test_what_is_written_reads_back(config: DcmqrscpConfig) -> None:
    try:
        written = write(config)
    except Misconfigured:  # a line may be too long, a character set have the name of an option
        assume(False)
        raise
    assert read(written, "dcmqrscp.cfg").config == config


LINES = st.sampled_from(
    (
        "HostTable BEGIN", "HostTable END", "VendorTable BEGIN", "VendorTable END", "AETable BEGIN", "AETable END",
        "a = (A, h, 1)", "b = a, (B, i, 2)", "A /a RW (9, 1gb) ANY", "A '/a b' W (9, 1gb) a, b", "NetworkTCPPort = 104",
        "MaxPDUSize = 16384", "SpecificCharacterSet = fallback", "", "  ", "# comment", "UserName = (x y)",
    )
)  # fmt: skip


@given(data=st.binary(max_size=200) | st.lists(LINES | TEXT, max_size=20).map(lambda lines: "\n".join(lines).encode()))
def test_no_bytes_make_reading_fail_otherwise(data: bytes) -> None:
    try:
        reading = read(data, "dcmqrscp.cfg")
    except Misconfigured as refusal:
        message = str(refusal)
    else:
        message = "dcmqrscp.cfg, line"
        reading.config.move_destinations()
    assert message.startswith("dcmqrscp.cfg, line")
