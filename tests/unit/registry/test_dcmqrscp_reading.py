"""dcmqrscp_reading.py, dcmqrscp_doubts.py: what a dcmqrscp.cfg says, what is refused, and what is said aloud."""

import pytest

from archive.errors import Misconfigured
from archive.registry.dcmqrscp_config import (
    ApplicationEntity,
    DcmqrscpConfig,
    Entry,
    Peer,
    ResponseCharacterSet,
    StorageQuota,
)
from archive.registry.dcmqrscp_reading import Reading, read

# As DCMTK's dcmqrcnf.txt and the dcmqrscp.cfg that comes with it.
EXAMPLE = b"""#
NetworkTCPPort  = 11112
MaxPDUSize      = 8192
MaxAssociations = 20
SpecificCharacterSet = "ISO_IR 192", override, discard, transliterate
UserName        = (do not change user)
GroupName       = dcmtk

HostTable BEGIN
# comment
acme1           = (ACME1, acmehost1, 5678)
acme2           = (ACME2, acmehost2, 5678)
acmeCTcompany   = acme1, acme2
united1         = 'UNITED1, unitedhost1, 104'
HostTable END

VendorTable BEGIN
"Acme CT Company"   = acmeCTcompany
VendorTable END

AETable BEGIN
ACME_STORE   /var/lib/dcmtk/db/ACME_STORE     RW (9, 1024mb)   acmeCTcompany, (OTHER, otherhost, 7)
READ         "/var/lib/dcmtk/db/READ ONLY"    R  (200, 512KB)  united1
ALL          /var/lib/dcmtk/db/ALL            WR (10,5b)       ANY
AETable END
"""
ACME1, ACME2 = Peer("ACME1", "acmehost1", 5678), Peer("ACME2", "acmehost2", 5678)
OTHER, UNITED1 = Peer("OTHER", "otherhost", 7), Peer("UNITED1", "unitedhost1", 104)


def reading(text: str | bytes) -> Reading:
    return read(text.encode() if isinstance(text, str) else text, "dcmqrscp.cfg")


def ae_table(row: str) -> str:
    return f"AETable BEGIN\n{row}\nAETable END\n"


def row(
    *, access: str = "RW", quota: str = "(9, 1024mb)", peers: str = "ANY", title: str = "A", area: str = "/a"
) -> str:
    return ae_table(f"{title} {area} {access} {quota} {peers}")


def host_table(*rows: str) -> str:
    return "\n".join(("HostTable BEGIN", *rows, "HostTable END", ""))


def said(text: str | bytes) -> list[tuple[int, str]]:
    """The notices, without those that tables alone in a file give."""
    dull = ("is not used", "no AE title is defined")
    return [(each.line, each.text) for each in reading(text).notices if not any(word in each.text for word in dull)]


def test_every_part_of_a_file_is_read() -> None:
    assert reading(EXAMPLE).config == DcmqrscpConfig(
        network_tcp_port=11112,
        max_pdu_bytes=8192,
        max_associations=20,
        user_name="do not change user",
        group_name="dcmtk",
        response_character_set=ResponseCharacterSet("ISO_IR 192", override=True, discard=True, transliterate=True),
        hosts=(
            Entry("acme1", (ACME1,)),
            Entry("acme2", (ACME2,)),
            Entry("acmeCTcompany", ("acme1", "acme2")),
            Entry("united1", (UNITED1,)),
        ),
        vendors=(Entry("Acme CT Company", ("acmeCTcompany",)),),
        application_entities=(
            ApplicationEntity(
                "ACME_STORE", "/var/lib/dcmtk/db/ACME_STORE", "RW", StorageQuota(9, 1 << 30), ("acmeCTcompany", OTHER)
            ),
            ApplicationEntity("READ", "/var/lib/dcmtk/db/READ ONLY", "R", StorageQuota(200, 512 << 10), ("united1",)),
            ApplicationEntity("ALL", "/var/lib/dcmtk/db/ALL", "WR", StorageQuota(10, 5), None),
        ),
    )


def test_a_file_without_oddities_gives_no_notice() -> None:
    assert reading(EXAMPLE).notices == ()


def test_symbolic_names_stand_for_their_peers() -> None:
    config = reading(EXAMPLE).config

    assert config.peers(config.application_entities[0].peers) == (ACME1, ACME2, OTHER)
    assert config.peers(config.vendors[0].members) == (ACME1, ACME2)
    assert config.peers(None) == ()


def test_a_peer_in_two_groups_is_one_peer() -> None:
    text = host_table(
        "a = (X, h, 1)", *(f"g{i} = {f'g{i - 1}' if i else 'a'}, {f'g{i - 1}' if i else 'a'}" for i in range(64))
    )
    config = reading(text).config

    assert config.peers(("g63",)) == (Peer("X", "h", 1),)


def test_a_move_goes_to_the_ae_tables_address_before_the_host_tables() -> None:
    text = host_table("h = (X, first, 1)", "i = (Y, only, 2)") + row(peers="(X, second, 3), (X, third, 4)")

    assert reading(text).config.move_destinations() == {"X": Peer("X", "second", 3), "Y": Peer("Y", "only", 2)}


def test_an_empty_file_has_dcmqrscps_defaults() -> None:
    assert reading(b"").config == DcmqrscpConfig(network_tcp_port=104, max_pdu_bytes=16384, max_associations=16)
    assert reading("NetworkTCPPort 0\nMaxPDUSize 0\n").config == DcmqrscpConfig()


@pytest.mark.parametrize("text", [EXAMPLE.replace(b"\n", b"\r\n"), EXAMPLE.rstrip(b"\n"), EXAMPLE.replace(b"=", b" ")])
def test_other_line_ends_and_gaps_change_nothing(text: bytes) -> None:
    assert reading(text) == reading(EXAMPLE)


@pytest.mark.parametrize("name", ["ApplicationTitle", "Display", "NetworkType"])
def test_obsolete_parameters_are_said_aloud(name: str) -> None:
    assert said(f"{name} = x\n") == [(1, f"{name} is obsolete and does nothing")]


REFUSED = [
    ("NetworkTCPPort=104\n", 1, "is not known; expected a global parameter"),
    ("\n # comment\n", 2, "'#' is not known"),
    ("networktcpport = 104\n", 1, "is not known"),
    ("NetworkTCPPort = 70000\n", 1, "expected a number from 0 to 65535, found 70000"),
    (f"NetworkTCPPort = {'9' * 10_000}\n", 1, "expected a number from 0 to 65535, found 9999"),
    ("MaxPDUSize = 4095\n", 1, "expected 4096 to 131072 bytes, found 4095"),
    ("MaxPDUSize = 131073\n", 1, "found 131073"),
    ("MaxAssociations = 0\n", 1, "expected a number from 1"),
    ("HostTable\n", 1, "expected HostTable BEGIN"),
    ("HostTable END\n", 1, "expected HostTable BEGIN, found HostTable END"),
    ("VendorTable begin\n", 1, "expected VendorTable BEGIN"),
    ("AETable BEGIN\n", 1, "the AETable that begins here has no END"),
    ("HostTable BEGIN\nHostTable = END\n", 2, "expected HostTable END, found HostTable ="),
    (host_table("a ="), 2, "expected peers or symbolic names after 'a'"),
    (host_table("a = a"), 2, "symbolic name 'a' is not defined above"),
    (host_table("a = b", "b = (X, h, 1)"), 2, "symbolic name 'b' is not defined above"),
    (host_table("a = (X h 1)"), 2, "symbolic name 'X h 1' is not defined above"),
    (host_table("a = (X, h)"), 2, "expected (AETitle, HostName, Port), found (X, h)"),
    (host_table("a = (A B, h, 1)"), 2, "expected (AETitle, HostName, Port)"),
    (host_table("a = (X, h, dicom)"), 2, "expected (AETitle, HostName, Port)"),
    (host_table("a = (X, h, 70000)"), 2, "expected a port from 0 to 65535, found 70000"),
    (ae_table("A /a RW (9, 1024mb)"), 2, "expected AETitle StorageArea Access Quota Peers"),
    (ae_table("A /a RW"), 2, "expected AETitle StorageArea Access Quota Peers"),
    (row(peers="ANYBODY"), 2, "symbolic name 'ANYBODY' is not defined above"),
    (row(peers="(X, h, 1"), 2, "expected peers, symbolic names or ANY"),
    *(
        (row(quota=quota), 2, "expected a quota such as (10, 1024mb)")
        for quota in (
            "(9, 1024)",
            "(9, 10tb)",
            "(9, 1.5gb)",
            "(9 1gb)",
            "(0, 1gb)",
            "(-1, 1gb)",
            "(9, 0mb)",
            "9,1gb",
            "()",
        )
    ),
    (row(quota=f"(9, {'9' * 18}gb)"), 2, "expected a quota"),
    (row() + row(title="B"), 4, "expected one AETable; dcmqrscp forgets that of line 1: join them"),
    (b"UserName = \xe4\n", 1, "expected UTF-8"),
    (b"UserName = a\0b\n", 1, "NUL"),
]


@pytest.mark.parametrize("text, line, expected", REFUSED)
def test_an_error_names_file_line_and_what_was_expected(text: str | bytes, line: int, expected: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        reading(text)

    assert str(caught.value).startswith(f"dcmqrscp.cfg, line {line}: ")
    assert expected in str(caught.value)


SAID_ALOUD = [
    ("NetworkTCPPort = abc\n", 1, "expected a number, found 'abc'; as in dcmqrscp, 104 stays in force"),
    ("NetworkTCPPort = 105 abc\n", 1, "only 105 of '105 abc' is read"),
    ("MaxAssociations 1\nMaxAssociations 2\n", 2, "MaxAssociations is said again; line 1 does not count"),
    ("UserName = dcmtk", 1, "dcmqrscp loses the last value of a last line that does not end with a newline"),
    ("SpecificCharacterSet = overide\n", 0, "'overide' is no defined term of a character set"),
    ('SpecificCharacterSet = "ISO_IR 100", "ISO_IR 192"\n', 1, "'ISO_IR 100' does not count"),
    (host_table("", "  a = (X, h, 1)"), 3, "refuses or misreads a line in a table that begins with white space"),
    (host_table("a = (X, h, 1), (Y, h, 2"), 2, "the rest is not read: (Y, h, 2"),
    (host_table("a = ( X, h, 1)"), 2, "dcmqrscp reads an empty AE title here"),
    (host_table("a = (X, h, 0)"), 2, "X: port 0 is no destination of a C-MOVE"),
    (host_table("a = (X, h, 1)", "a = (Y, i, 1)"), 3, "symbolic name a is defined on line 2 already"),
    (host_table("a = (acmehost, ACME, 104)"), 2, "the AE title comes first; acmehost is taken for it"),
    (host_table("a = (10.0.0.1, ACME, 104)"), 2, "the AE title comes first"),
    (host_table("a = (X, h, 1)", "b = (X, i, 1)"), 3, "X has another address on line 2; a C-MOVE goes to h:1"),
    (host_table("a = (X, h, 1)", "b = (X, h, 2)"), 3, "X has another address on line 2; a C-MOVE goes to h:1"),
    (host_table("a = (X, h, 1)") + row(peers="(X, i, 1)"), 5, "X has another address on line 2; a C-MOVE goes to i:1"),
    (host_table("ANY = (X, h, 1)"), 2, "there it means anybody"),
    ("VendorTable BEGIN\nv = (X, h, 1)\nv = (Y, h, 1)\nVendorTable END\n", 3, "vendor v is defined on line 2 already"),
    (row(access="rw"), 2, "A: access 'rw' is not one of R, RW, W, and means read-only"),
    (row(access="W"), 2, "A: dcmqrscp lets peers query and retrieve with W too, this archive does not"),
    (row(peers="ANY, (X, h, 1)"), 2, "after ANY nothing is read: (X, h, 1)"),
    (row(quota="(501, 1gb)"), 2, "A: dcmqrscp holds 500 studies at most, this archive 501"),
    (row(quota="(9, 2gb)"), 2, "A: dcmqrscp holds 1 GiB of a study at most, this archive 2147483648 bytes"),
    (row(area="data"), 2, "A: data is a folder below the one that dcmqrscp is started in"),
    (row(title="A-TITLE-TOO-LONG-FOR-AE"), 2, "can be no AE title"),
    (ae_table("A /a RW (9, 1gb) ANY\nA /b R (1, 1gb) ANY"), 3, "AE title A is defined on line 2 already; area, access"),
    (row(peers=", ".join(f"(X{i}, host, 104)" for i in range(40))), 2, "reads lines of 511 bytes"),
]


@pytest.mark.parametrize("text, line, expected", SAID_ALOUD)
def test_what_dcmqrscp_takes_silently_is_said_aloud_and_read(text: str, line: int, expected: str) -> None:
    notices = said(text)

    assert len(notices) == 1
    assert notices[0][0] == line
    assert expected in notices[0][1]


def test_unused_symbolic_names_are_said_aloud() -> None:
    assert [(each.line, each.text) for each in reading(host_table("a = (X, h, 1)") + row()).notices] == [
        (2, "symbolic name a is not used; its peers are destinations of C-MOVE only")
    ]


def test_a_file_without_ae_titles_is_said_aloud() -> None:
    assert [(each.line, each.text) for each in reading(b"").notices] == [
        (0, "no AE title is defined: nobody can associate")
    ]


def test_long_lines_are_read_whole() -> None:
    config = reading(row(peers=", ".join(f"(X{i}, host, 104)" for i in range(1000)))).config

    assert len(config.application_entities[0].peers or ()) == 1000


def test_a_gap_before_the_ae_title_of_a_peer_is_no_part_of_it() -> None:
    assert reading(host_table("a = ( X, h, 1 )")).config.hosts == (Entry("a", (Peer("X", "h", 1),)),)


@pytest.mark.parametrize(
    "access, is_writable, is_readable",
    [("R", False, True), ("RW", True, True), ("WR", True, True), ("W", True, False), ("rw", False, True)],
)
def test_access_words(access: str, is_writable: bool, is_readable: bool) -> None:
    entity = reading(row(access=access)).config.application_entities[0]

    assert (entity.access, entity.is_writable, entity.is_readable) == (access, is_writable, is_readable)
