"""docs/conformance.md claims what the code does: keys, statuses, SOP Classes, transfer syntaxes, numbers of the UL."""

import re

import pytest

from archive.cli.dcmtk import query_options
from archive.dicom import convert, uids
from archive.dicom.attributes import ATTRIBUTES, EVERY_LEVEL, Attribute, KeyType
from archive.dicom.sop_classes import STORAGE_SOP_CLASSES
from archive.dimse import status
from archive.query.conditions import WITH_WILD_CARDS
from archive.query.identifier import REQUEST_ATTRIBUTES
from archive.query.model import SOP_CLASSES, Operation, accepted_negotiation
from archive.services import batches, failures
from archive.services.find import MAX_IDENTIFIER_BYTES
from archive.settings import Settings
from archive.upper_layer import proposal, tls
from archive.upper_layer.pdata import LARGEST_SENT_PDU_BYTES
from tests.architecture.test_documents import ROOT, read, rows, section

PAGE = read(ROOT / "docs/conformance.md")


def cells(heading: str) -> list[list[str]]:
    """The table below a heading, without the marks of code."""
    return [[cell.replace("`", "") for cell in row] for row in rows(section(PAGE, heading))]


def tag_text(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def matching_kinds(attribute: Attribute) -> str:
    """What kinds of matching PS3.4 C.2.2.2 a key has beside universal matching."""
    if attribute.key_type is KeyType.RETURN:
        return "returned only"
    kinds = {"UI": "UID list", "SQ": "sequence", "DA": "single value, range", "TM": "single value, range"}
    default = "single value, wild card" if attribute.vr in WITH_WILD_CARDS else "single value"
    found = kinds.get(attribute.vr, default)
    return f"{found}; any of several values" if attribute.multi_valued else found


def test_the_table_of_keys_is_the_attribute_table() -> None:
    expected = [
        [
            attribute.keyword,
            tag_text(attribute.tag),
            "any" if attribute.key_type is KeyType.RETURN else attribute.level.name,
            "-" if attribute.key_type is KeyType.RETURN else attribute.key_type.value,
            matching_kinds(attribute),
        ]
        for attribute in ATTRIBUTES
    ]

    assert cells("#### Keys") == expected


def test_keys_that_are_returned_only_are_so_at_every_level() -> None:
    returned = {attribute.keyword for attribute in ATTRIBUTES if attribute.key_type is KeyType.RETURN}

    assert returned == {"InstanceAvailability", "RetrieveAETitle", "TimezoneOffsetFromUTC"}
    assert 0x00080005 in EVERY_LEVEL


def test_the_keys_of_a_request_item_are_those_that_are_matched() -> None:
    assert {(keyword, tag) for keyword, tag in cells("#### Keys within Request Attributes Sequence")} == {
        (attribute.keyword, tag_text(attribute.tag)) for attribute in REQUEST_ATTRIBUTES.values()
    }


@pytest.mark.parametrize(
    "heading, table, others",
    [
        pytest.param("#### C-STORE statuses", failures.STORE, {status.SUCCESS}, id="C-STORE"),
        pytest.param(
            "#### C-FIND statuses",
            failures.FIND,
            {status.SUCCESS, status.PENDING, status.PENDING_WITH_UNSUPPORTED_KEYS, status.CANCEL},
            id="C-FIND",
        ),
        pytest.param(
            "#### C-MOVE and C-GET statuses",
            failures.RETRIEVE,
            {
                status.SUCCESS,
                status.PENDING,
                status.CANCEL,
                status.RETRIEVE_OUT_OF_RESOURCES_SUB_OPERATIONS,
                status.RETRIEVE_SUB_OPERATIONS_FAILED_OR_WARNED,
            },
            id="C-MOVE and C-GET",
        ),
    ],
)
def test_statuses_are_those_that_are_answered(heading: str, table: failures.Table, others: set[int]) -> None:
    described = [row[0] for row in cells(heading)]

    assert len(described) == len(set(described))
    assert set(described) == {f"{code:04X}" for code in {*table.values(), *others}}


def test_storage_sop_classes_are_those_of_the_table() -> None:
    assert {uid: keyword for keyword, uid in cells("## Annex A. Storage SOP Classes")} == STORAGE_SOP_CLASSES


def test_transfer_syntaxes_are_in_the_order_of_preference() -> None:
    described = cells("## Annex B. Transfer syntaxes")

    assert [(keyword, uid) for _, keyword, uid in described] == [
        (each.keyword, each.uid) for each in uids.TRANSFER_SYNTAXES
    ]
    assert [int(number) for number, *_ in described] == list(range(1, len(described) + 1))


def test_query_retrieve_sop_classes_are_those_that_are_served() -> None:
    described = {row[1] for row in cells("#### SOP Classes") if row[1] != uids.VERIFICATION}

    assert described == set(SOP_CLASSES)


@pytest.mark.parametrize("operation", ["find", "move", "get"])
def test_sop_classes_of_clients_are_those_that_they_ask_by(operation: str) -> None:
    described = {row[2] for row in cells("### Clients") if row[0] == f"archive {operation}scu"}

    served = query_options.SOP_CLASSES.values()
    assert described == {operations[operation] for operations in served if operation in operations}


def test_transfer_syntaxes_of_queries_are_the_ones_that_can_be_converted() -> None:
    described = set(re.findall(r"`(1\.2\.840\.10008\.1\.2[.0-9]*)`", section(PAGE, "#### Presentation contexts")))

    assert described == convert.CONVERTIBLE


def test_extended_negotiation_is_what_is_accepted() -> None:
    described = cells("#### Extended negotiation")
    answers = {
        Operation.FIND: accepted_negotiation(bytes([1] * 7), Operation.FIND),
        Operation.MOVE: accepted_negotiation(bytes([1] * 2), Operation.MOVE),
        Operation.GET: accepted_negotiation(bytes([1] * 2), Operation.GET),
    }

    for operation, answer in answers.items():
        column = 2 if operation is Operation.FIND else 3
        said = [row[column] for row in described if row[column] != "-"]
        assert [each == "yes" for each in said] == [byte == 1 for byte in answer], operation


def test_rejections_are_those_that_are_sent() -> None:
    described = {tuple(map(int, row[0].split("/"))) for row in cells("#### Rejections")}
    sent = {
        (rejection.result, rejection.source, rejection.reason)
        for rejection in (
            proposal.NO_REASON_GIVEN,
            proposal.TEMPORARY_CONGESTION,
            proposal.APPLICATION_CONTEXT_NOT_SUPPORTED,
            proposal.CALLING_AE_TITLE_NOT_RECOGNIZED,
            proposal.CALLED_AE_TITLE_NOT_RECOGNIZED,
            proposal.PROTOCOL_VERSION_NOT_SUPPORTED,
            proposal.TRY_LATER,
            proposal.LOCAL_LIMIT_EXCEEDED,
        )
    }

    assert described == sent


def test_tls_profiles_are_those_that_can_be_set() -> None:
    described = {row[2].split()[0]: (row[1], row[3].split(", ")) for row in cells("### Secure transport")}
    versions = {tls.ssl.TLSVersion.TLSv1_2: "1.2", tls.ssl.TLSVersion.TLSv1_3: "1.3"}

    assert described == {
        name: (
            profile.section,
            [words for version, words in versions.items() if profile.oldest <= version <= profile.newest],
        )
        for name, profile in tls.PROFILES.items()
    }
    assert "(default)" in PAGE.split(f"`{Settings().tls_profile}`")[1][:20]


def test_cipher_suites_are_those_of_the_profiles() -> None:
    table = section(PAGE, "### Secure transport").split("Cipher suites up to TLS 1.2:")[1]
    described = {row[0]: row[1:] for row in rows(table)}
    spoken = {
        name: [registered_name(suite) for suite in profile.ciphers.split(":") if not suite.startswith("@")]
        for name, profile in tls.PROFILES.items()
    }

    assert described == {
        suite: ["yes" if suite in suites else "-" for suites in spoken.values()]
        for suite in dict.fromkeys(suite for suites in spoken.values() for suite in suites)
    }


def registered_name(suite: str) -> str:
    """The name of a cipher suite in the registry of IANA, from that of OpenSSL."""
    exchange, cipher = re.fullmatch(r"((?:ECDHE|DHE)-(?:ECDSA|RSA))-(.+)", suite).groups()  # type: ignore[union-attr]
    cipher = re.sub(r"AES(\d+)", r"AES_\1", cipher).replace("CCM8", "CCM_8").replace("POLY1305", "POLY1305_SHA256")
    return f"TLS_{exchange}_WITH_{cipher}".replace("-", "_")


@pytest.mark.parametrize(
    "heading, value",
    [
        ("Application context name", proposal.APPLICATION_CONTEXT),
        ("Implementation Class UID", uids.IMPLEMENTATION_CLASS_UID),
        ("Implementation Version Name", uids.IMPLEMENTATION_VERSION_NAME),
        ("Maximum PDU size announced", f"{Settings().max_pdu} bytes"),
        ("Largest PDU sent", f"{LARGEST_SENT_PDU_BYTES} bytes"),
        ("Associations at a time", str(Settings().max_associations)),
        ("Presentation contexts proposed at a time", str(batches.MAX_CONTEXTS)),
        ("Largest identifier", f"{MAX_IDENTIFIER_BYTES} bytes"),
        ("ACSE and ARTIM", f"{Settings().acse_timeout:g} s"),
        ("Between two commands", f"{Settings().idle_timeout:g} s"),
        ("Within a message", f"{Settings().dimse_timeout:g} s"),
        ("For a response in a retrieve", f"{Settings().response_timeout:g} s"),
        ("For a connection to a peer", f"{Settings().connect_timeout:g} s"),
    ],
)
def test_numbers_are_those_of_the_code(heading: str, value: str) -> None:
    described = {row[0]: row[1] for row in cells("#### Numbers")}

    assert described[heading].startswith(value)
