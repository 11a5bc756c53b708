"""Data sets as XML: the Native DICOM Model (PS3.19 A.1), and the form of DCMTK's dcm2xml; pure.

What XML 1.0 has no way to say, most control characters, becomes U+FFFD. Those that a terminal obeys are references.
"""

import base64
import re
from collections.abc import Iterable, Iterator

from archive.dicom import charset, nodes
from archive.dicom.dump import TRANSFER_SYNTAX_NAMES, numbers
from archive.dicom.elements import BULK_VRS, ONE_VALUE_TEXT_VRS, TEXT_VRS, stripped
from archive.dicom.names import keyword_of, name_of
from archive.dicom.nodes import Node
from archive.dicom.text_values import name_groups, texts, vr_of_node

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
SHORT_DECLARATION = '<?xml version="1.0"?>'  # UTF-8, too (XML 1.0 4.3.3)
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;", "\n": "&#10;", "\r": "&#13;"}
_SPECIAL = re.compile(
    "[&<>\"'\n\r\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def escaped(text: str) -> str:
    """`text` as it may stand in an element or between quotes."""
    return _SPECIAL.sub(_reference, text)


def _is_allowed(character: str) -> bool:
    """Whether XML has it; what a terminal obeys, or what turns text around, is then written as a number."""
    return "\x7f" <= character <= "\x9f" or "\u2028" <= character <= "\u2069"


def _reference(found: re.Match[str]) -> str:
    character = found[0]
    return _NAMED.get(character) or (f"&#{ord(character)};" if _is_allowed(character) else "\ufffd")


# The Native DICOM Model.


def native(data_set: Iterable[Node]) -> Iterator[str]:
    """The lines of one data set, without a declaration; group lengths are left out (PS3.19 A.1.5)."""
    yield '<NativeDicomModel xml:space="preserve">'
    yield from _native_nodes(tuple(data_set), ())
    yield "</NativeDicomModel>"


def _native_nodes(found: tuple[Node, ...], outer_sets: tuple[str, ...]) -> Iterator[str]:
    sets, creators = nodes.character_sets(found, outer_sets), nodes.creators(found)
    for node in found:
        if not node.tag & 0xFFFF:
            continue
        vr = vr_of_node(node)
        yield f'<DicomAttribute {_native_tag(node, creators)} vr="{vr}"{_keyword(node)}{_creator(node, creators)}>'
        if isinstance(node.value, bytes):
            yield from _native_values(node.tag, vr, node.value, sets)
        else:
            for number, item in enumerate(node.value, 1):
                yield f'<Item number="{number}">'
                yield from _native_nodes(item.nodes, sets)
                yield "</Item>"
        yield "</DicomAttribute>"


def _native_tag(node: Node, creators: dict[int, str]) -> str:
    """A private element goes by its number within the block of its creator, which is named beside it (A.1.5)."""
    in_block = node.tag & 0xFFFF00FF if nodes.block_of(node.tag) in creators else node.tag
    return f'tag="{in_block if node.is_private else node.tag:08X}"'


def _keyword(node: Node) -> str:
    keyword = keyword_of(node.tag)
    return f' keyword="{keyword}"' if keyword else ""


def _creator(node: Node, creators: dict[int, str]) -> str:
    creator = creators.get(nodes.block_of(node.tag)) if node.is_private else None
    return f' privateCreator="{escaped(creator)}"' if creator else ""


def _native_values(tag: int, vr: str, raw: bytes, sets: tuple[str, ...]) -> Iterator[str]:
    if vr in BULK_VRS:
        if raw:
            yield f"<InlineBinary>{base64.b64encode(raw).decode('ascii')}</InlineBinary>"
        return
    values = texts(vr, raw, sets)
    if tag == nodes.SPECIFIC_CHARACTER_SET and values:
        values = [charset.UNICODE]
    for number, text in enumerate(values, 1):
        if vr != "PN":
            yield f'<Value number="{number}">{escaped(text)}</Value>'
            continue
        yield f'<PersonName number="{number}">'
        for group, components in zip(_GROUPS, name_groups(text), strict=False):
            if components:
                yield f"<{group}>"
                named = zip(_COMPONENTS, components.split("^"), strict=False)
                yield from (f"<{name}>{escaped(part)}</{name}>" for name, part in named if part)
                yield f"</{group}>"
        yield "</PersonName>"


# The form of DCMTK's dcm2xml (dcm2xml.dtd).


def of_dcmtk(data_set: Iterable[Node], transfer_syntax: str) -> Iterator[str]:
    """The lines of one data set as the element `data-set`, without a declaration; values of bytes are left out."""
    name = TRANSFER_SYNTAX_NAMES.get(transfer_syntax, "Unknown Transfer Syntax")
    yield f'<data-set xfer="{transfer_syntax}" name="{name}">'
    yield from _dcmtk_nodes(tuple(data_set), ())
    yield "</data-set>"


def _dcmtk_nodes(found: tuple[Node, ...], outer_sets: tuple[str, ...]) -> Iterator[str]:
    sets, creators = nodes.character_sets(found, outer_sets), nodes.creators(found)
    for node in found:
        name = name_of(node.tag, creators.get(nodes.block_of(node.tag), "") if node.is_private else "")
        head = f'tag="{node.tag >> 16:04x},{node.tag & 0xFFFF:04x}" vr="{vr_of_node(node)}"'
        length = "" if node.length is None else f' len="{node.length}"'
        if isinstance(node.value, bytes):
            yield from _dcmtk_element(node, node.value, head, escaped(name), sets)
            continue
        yield f'<sequence {head} card="{len(node.value)}"{length} name="{escaped(name)}">'
        for item in node.value:
            item_length = "" if item.length is None else f' len="{item.length}"'
            yield f'<item card="{len(item.nodes)}"{item_length}>'
            yield from _dcmtk_nodes(item.nodes, sets)
            yield "</item>"
        yield "</sequence>"


def _dcmtk_element(node: Node, raw: bytes, head: str, name: str, sets: tuple[str, ...]) -> Iterator[str]:
    vr = vr_of_node(node)
    if vr in TEXT_VRS:
        text = stripped(charset.decode(raw.rstrip(b"\0"), sets, vr), vr)
        count = (1 if vr in ONE_VALUE_TEXT_VRS else text.count("\\") + 1) if raw else 0
        if node.tag == nodes.SPECIFIC_CHARACTER_SET and text:
            text = charset.UNICODE
    elif vr in ("OB", "OW", "UN"):
        text, count = "", 1
    else:
        values = numbers(vr, raw)
        text, count = "\\".join(values), 1 if vr in BULK_VRS else len(values)
    hidden = ' binary="hidden"' if vr in ("OB", "OW", "UN") else ""
    yield f'<element {head} vm="{count}" len="{node.length}" name="{name}"{hidden}>{escaped(text)}</element>'
