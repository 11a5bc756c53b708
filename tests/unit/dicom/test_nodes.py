"""nodes.py, dump.py, json_model.py, xml_models.py, names.py: a data set as it was sent, and what is said of it.

What DCMTK prints is held against its programs in tests/wire/test_findscu_answers.py.
"""

import json
import struct
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydicom.datadict import dictionary_VR, keyword_dict

from archive.dicom import dump, json_model, nodes, xml_models
from archive.dicom.encode import MAX_ELEMENTS, Element, encode, parse
from archive.dicom.names import UNKNOWN, keyword_of, name_of
from archive.dicom.nodes import Item, Node
from archive.errors import UnreadableDataSet

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
ELEMENTS = (
    Element(0x00080005, "CS", b"ISO_IR 100"),
    Element(0x00080060, "CS", b"CT"),
    Element(0x00100010, "PN", "Müller^Jörg=Y=Z".encode("latin-1") + b" "),
    Element(0x00280010, "US", struct.pack("<H", 512)),
    Element(
        0x00400100,
        "SQ",
        ((Element(0x00080060, "CS", b"MR"), Element(0x00400007, "LO", "Größe ".encode("latin-1"))), ()),
    ),
)


def plain(found: tuple[Node, ...]) -> list[Element]:
    """Nodes without their lengths."""
    return [
        Element(
            each.tag,
            each.vr,
            each.value if isinstance(each.value, bytes) else tuple(tuple(plain(item.nodes)) for item in each.value),
        )
        for each in found
    ]


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED])
def test_a_data_set_is_the_same_in_every_transfer_syntax(syntax: str) -> None:
    encoded = encode(ELEMENTS, syntax)

    assert plain(nodes.parse(encoded, syntax)) == list(ELEMENTS) == parse(encoded, syntax)


def test_elements_that_were_not_sent_have_the_lengths_that_they_will_have_but_for_sequences() -> None:
    sent = nodes.parse(encode(ELEMENTS, EXPLICIT), EXPLICIT)
    *plain_ones, sequence = nodes.of_elements(ELEMENTS)

    assert tuple(plain_ones) == sent[:-1]
    assert (sequence.length, plain((sequence,))) == (0, plain(sent[-1:]))


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
@given(cut=some.integers(0, 200), at=some.integers(0, 200), byte=some.integers(0, 255))
def test_a_damaged_data_set_is_read_or_refused(syntax: str, cut: int, at: int, byte: int) -> None:
    encoded = bytearray(encode(ELEMENTS, syntax))
    encoded[min(at, len(encoded) - 1)] = byte
    try:
        found = nodes.parse(bytes(encoded[: len(encoded) - cut]), syntax)
    except UnreadableDataSet:
        return
    assert list(dump.lines(found, syntax))
    assert json.loads(json_model.text_of(found)) is not None
    assert ElementTree.fromstring("\n".join(xml_models.native(found))) is not None
    assert ElementTree.fromstring("\n".join(xml_models.of_dcmtk(found, syntax))) is not None


@pytest.mark.parametrize(
    "data",
    [
        b"\x08\x00\x60\x00CS\x08\x00CT",
        b"\x08\x00\x10\x11SQ\0\0\xff\xff\xff\xff",
        b"\xfe\xff\x00\xe0\0\0\0\0",
        b"\x08\x00\x10\x11SQ\0\0\x08\0\0\0\xfe\xff\x00\xe0\x08\0\0\0",
        (b"\x08\x00\x10\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff") * 70,
        b"\x08\x00\x60\x00CS\x00\x00" * (MAX_ELEMENTS + 1),
    ],
    ids=["cut short", "no end", "an item outside", "an item too long", "too deep", "too many"],
)
def test_a_data_set_beyond_the_bounds_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableDataSet):
        nodes.parse(data, EXPLICIT)


def test_a_data_set_that_inflates_beyond_the_limit_is_refused() -> None:
    bomb = encode((Element(0x00104000, "LT", b" " * 60_000),), DEFLATED)

    with pytest.raises(UnreadableDataSet, match="limit"):
        nodes.parse(bomb, DEFLATED, max_bytes=10_000)


def test_a_dump_has_the_columns_of_dcmdump() -> None:
    lines = list(dump.lines(nodes.parse(encode(ELEMENTS, EXPLICIT), EXPLICIT), EXPLICIT))

    assert lines == [
        "",
        "# Dicom-Data-Set",
        "# Used TransferSyntax: Little Endian Explicit",
        "(0008,0005) CS [ISO_IR 100]                             #  10, 1 SpecificCharacterSet",
        "(0008,0060) CS [CT]                                     #   2, 1 Modality",
        "(0010,0010) PN [Müller^Jörg=Y=Z ]                       #  16, 1 PatientName",
        "(0028,0010) US 512                                      #   2, 1 Rows",
        "(0040,0100) SQ (Sequence with explicit length #=2)      #  40, 1 ScheduledProcedureStepSequence",
        "  (fffe,e000) na (Item with explicit length #=2)          #  24, 1 Item",
        "    (0008,0060) CS [MR]                                     #   2, 1 Modality",
        "    (0040,0007) LO [Größe ]                                 #   6, 1 ScheduledProcedureStepDescription",
        "  (fffe,e00d) na (ItemDelimitationItem for re-encoding)   #   0, 0 ItemDelimitationItem",
        "  (fffe,e000) na (Item with explicit length #=0)          #   0, 1 Item",
        "  (fffe,e00d) na (ItemDelimitationItem for re-encoding)   #   0, 0 ItemDelimitationItem",
        "(fffe,e0dd) na (SequenceDelimitationItem for re-encod.) #   0, 0 SequenceDelimitationItem",
        "",
    ]


def json_of(vr: str, raw: bytes, tag: int = 0x00100010) -> Any:
    document = json.loads(json_model.text_of((Node(tag, vr, len(raw), raw),)))
    return document[f"{tag:08X}"]


@pytest.mark.parametrize(
    "vr, raw, value",
    [
        ("LO", b"a \\ b", ["a", "b"]),
        ("LO", b"a\\\\b ", ["a", None, "b"]),
        ("LT", b"  a\\b ", ["  a\\b"]),
        ("PN", b"A^B=C==D ", [{"Alphabetic": "A^B", "Ideographic": "C"}]),
        ("PN", b"A\\B ", [{"Alphabetic": "A"}, {"Alphabetic": "B"}]),
        ("IS", b"+5\\-3 ", [5, -3]),
        ("IS", b"many", ["many"]),
        ("DS", b"1.50\\2\\1e400", [1.5, 2, "1e400"]),
        ("UI", b"1.2.3\0", ["1.2.3"]),
        ("US", b"\x01\0\x02\0", [1, 2]),
        ("FL", struct.pack("<f", 0.1), [0.1]),
        ("FD", struct.pack("<2d", 0.1, float("nan")), [0.1, "nan"]),
        ("AT", b"\x18\0\x63\x10", ["00181063"]),
        ("SV", struct.pack("<q", -5), [-5]),
    ],
)
def test_a_value_is_one_of_dicom_json(vr: str, raw: bytes, value: Any) -> None:
    assert json_of(vr, raw) == {"vr": vr, "Value": value}


def test_bytes_and_nothing_are_those_of_dicom_json() -> None:
    assert json_of("OB", b"\0\xff") == {"vr": "OB", "InlineBinary": "AP8="}
    assert json_of("LO", b"") == json_of("LO", b"  ") == {"vr": "LO"}
    assert json_of("OB", b"") == {"vr": "OB"}
    assert json_of("US or SS", b"\x01\0") == {"vr": "US", "Value": [1]}


def test_text_is_unicode_and_says_so() -> None:
    document = json.loads(json_model.text_of(nodes.of_elements(ELEMENTS)))

    assert document["00080005"]["Value"] == ["ISO_IR 192"]
    assert document["00100010"]["Value"] == [{"Alphabetic": "Müller^Jörg", "Ideographic": "Y", "Phonetic": "Z"}]
    assert document["00400100"]["Value"] == [
        {"00080060": {"vr": "CS", "Value": ["MR"]}, "00400007": {"vr": "LO", "Value": ["Größe"]}},
        {},
    ]


def test_group_lengths_are_in_no_model() -> None:
    length = Node(0x00080000, "UL", 4, b"\x0a\0\0\0")

    assert json_model.text_of((length,)) == "{}"
    assert list(xml_models.native((length,))) == ['<NativeDicomModel xml:space="preserve">', "</NativeDicomModel>"]


@pytest.mark.parametrize("text", ["\x1b[2J", "\x9b2J", "\0", "\x7f", "a\nb", "\ufffe", "<&>\"'"])
def test_no_value_breaks_a_document_or_speaks_to_a_terminal(text: str) -> None:
    found = (Node(0x00080005, "CS", 10, b"ISO_IR 192"), Node(0x00100020, "LO", 4, text.encode()))
    documents = [json_model.text_of(found), *("".join(model) for model in (xml_models.native(found),))]
    documents.append("".join(xml_models.of_dcmtk(found, EXPLICIT)))

    for document in documents:
        assert not set(document) & {chr(code) for code in (*range(32), *range(0x7F, 0xA0))}
    json.loads(documents[0])
    for document in documents[1:]:
        ElementTree.fromstring(document)


def test_a_private_attribute_goes_by_its_creator_in_the_native_model() -> None:
    found = (Node(0x00190010, "LO", 4, b"ACME"), Node(0x00191001, "UN", 2, b"\0\1"), Node(0x00292001, "UN", 2, b"\0\1"))
    lines = list(xml_models.native(found))

    assert '<DicomAttribute tag="00190001" vr="UN" privateCreator="ACME">' in lines
    assert '<DicomAttribute tag="00292001" vr="UN">' in lines
    assert "<InlineBinary>AAE=</InlineBinary>" in lines


def test_a_sequence_without_a_length_has_none() -> None:
    found = (Node(0x00081110, "SQ", None, (Item(None, ()),)),)

    assert "undefined length #=1)" in list(dump.lines(found, EXPLICIT))[3]
    assert 'card="1" name' in next(line for line in xml_models.of_dcmtk(found, EXPLICIT) if "<sequence" in line)


@pytest.mark.parametrize(
    "tag, name",
    [
        (0x00100010, "PatientName"),
        (0x00321055, "RETIRED_StudyComponentStatusID"),
        (0x00080000, "GenericGroupLength"),
        (0x00190010, "PrivateCreator"),
        (0x00191001, UNKNOWN),
        (0x00089999, UNKNOWN),
        (0xFFFEE000, "Item"),
        (0x60000010, "OverlayRows"),
    ],
)
def test_an_attribute_has_the_name_of_the_dictionary(tag: int, name: str) -> None:
    assert name_of(tag) == name


def test_every_keyword_is_that_of_the_standard() -> None:
    named = {keyword: tag for keyword, tag in keyword_dict.items() if tag & 0xFFFF and dictionary_VR(tag) != "NONE"}

    assert {keyword: keyword_of(tag) for keyword, tag in named.items()} == {keyword: keyword for keyword in named}
    assert keyword_of(0x00191001) == keyword_of(0x00080000) == keyword_of(0x00089999) == ""
