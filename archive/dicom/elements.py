"""The wire form of data elements (PS3.5 7.1): which VRs have which length field, padding, byte order and text.

Knows the VR of a tag as well: of our keys from the attribute table; of all others from pydicom's dictionary, which is
imported when the first such tag is asked for, as start-up must not wait for it; of what it lacks from those of a user.
"""

import functools
import struct
from array import array

from archive.dicom.attributes import ATTRIBUTES

UNDEFINED_LENGTH = 0xFFFFFFFF
ITEM = 0xFFFEE000
ITEM_DELIMITATION = 0xFFFEE00D
SEQUENCE_DELIMITATION = 0xFFFEE0DD
PIXEL_GROUP = 0x7FE0
MAX_DEPTH = 64  # nested sequences; real objects have fewer than ten, and DCMTK stops at 64 as well

# 16-bit length behind the VR; all other VRs, also those to come, have two reserved bytes and 32 bits (PS3.5 7.1.2).
# fmt: off
SHORT_VRS = frozenset((
    "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI",
    "UL", "US",
))
LONG_VRS = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"))
# fmt: on
MAX_SHORT_LENGTH = 0xFFFE  # the greatest even number in 16 bits

# Bytes of one number, by which a value turns from one byte order to the other; AT is two 16-bit numbers.
WORD_BYTES = {
    **dict.fromkeys(("US", "SS", "OW", "AT"), 2),
    **dict.fromkeys(("UL", "SL", "FL", "OF", "OL"), 4),
    **dict.fromkeys(("FD", "OD", "SV", "UV", "OV"), 8),
}
BULK_VRS = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))
# Text in the data set's Specific Character Set (PS3.5 6.1.2.2); all other text is in the default repertoire.
CHARACTER_SET_VRS = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
# Backslash is a character and leading spaces count (PS3.5 6.2).
ONE_VALUE_TEXT_VRS = frozenset(("LT", "ST", "UR", "UT"))
NUMBER_CODES = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "SV": "q", "UV": "Q"}  # of struct
NUL_PADDED_VRS = frozenset(("OB", "UI", "UN"))
NUMBER_VRS = frozenset(("AT", *NUMBER_CODES))
TEXT_VRS = (SHORT_VRS | LONG_VRS) - NUMBER_VRS - BULK_VRS - {"SQ"}
# Those that came after 1993; receivers of that time know none of them.
LATER_VRS = frozenset(("OD", "OF", "OL", "OV", "SV", "UC", "UN", "UR", "UT", "UV"))

_TYPECODES = {2: "H", 4: "I", 8: "Q"}
_KEY_VRS = {attribute.tag: attribute.vr for attribute in ATTRIBUTES} | {
    0x00080005: "CS",  # Specific Character Set
    0x00080052: "CS",  # Query/Retrieve Level
    0x00080053: "CS",  # Query/Retrieve View
    0x00280100: "US",  # Bits Allocated
    0x00280103: "US",  # Pixel Representation
    0x00400007: "LO",  # Scheduled Procedure Step Description
    0x00400009: "SH",  # Scheduled Procedure Step ID
    0x00321060: "LO",  # Requested Procedure Description
    0x00401001: "SH",  # Requested Procedure ID
}


def swapped(value: bytes, word_bytes: int) -> bytes:
    """`value` in the other byte order; what is over at the end of a damaged value stays as it is."""
    if word_bytes == 1:
        return value
    whole = len(value) - len(value) % word_bytes
    words = array(_TYPECODES[word_bytes], value[:whole])
    words.byteswap()
    return words.tobytes() + value[whole:]


def padded(value: bytes, vr: str) -> bytes:
    """`value` at an even length (PS3.5 6.2)."""
    if len(value) & 1:
        return value + (b"\0" if vr in NUL_PADDED_VRS else b" ")
    return value


def stripped(text: str, vr: str) -> str:
    """`text` without padding: at its end, or around each of several values (PS3.5 6.2)."""
    if vr in ONE_VALUE_TEXT_VRS:
        return text.rstrip(" ")
    if "\\" not in text:
        return text.strip(" ")
    return "\\".join(value.strip(" ") for value in text.split("\\"))


def number_text(value: bytes, vr: str) -> str:
    """Binary numbers in little endian as decimal text, several joined by a backslash."""
    code = NUMBER_CODES[vr]
    count = len(value) // struct.calcsize("<" + code)
    return "\\".join(map(str, struct.unpack_from(f"<{count}{code}", value)))


def vr_of(tag: int) -> str:
    """The VR of a tag by the dictionary (PS3.6); it may be a choice as "US or SS". UN if nobody knows."""
    return _KEY_VRS.get(tag) or _looked_up_vr(tag)


@functools.lru_cache(maxsize=16384)
def _looked_up_vr(tag: int) -> str:
    group, element = tag >> 16, tag & 0xFFFF
    if element == 0:
        return "UL"  # group length
    if group & 1:
        return "LO" if 0x10 <= element <= 0xFF else "UN"  # private creator (PS3.5 7.8.1), private attribute
    from pydicom.datadict import dictionary_VR

    try:
        vr = dictionary_VR(tag)
    except KeyError:
        from archive.dicom import further_dictionary  # which takes its VRs from us

        found = further_dictionary.entry(tag)
        return found.vr if found else "UN"
    return "UN" if vr == "NONE" else vr


def chosen_vr(vr: str, tag: int, *, pixel_representation: int, bits_allocated: int, waveform_bits: int) -> str:
    """One VR where the dictionary leaves a choice, by what the data set said before (PS3.5 A.1, 8.1.2, 8.3).

    0 stands for nothing said. Numbers of 16 bits all turn alike, so a wrong guess between them harms no value.
    """
    if " " not in vr:
        return vr
    if vr == "US or SS":
        return "SS" if pixel_representation else "US"
    if tag >> 16 == PIXEL_GROUP:
        return "OB" if 0 < bits_allocated <= 8 else "OW"
    if tag >> 16 == 0x5400:
        return "OB" if 0 < waveform_bits <= 8 else "OW"
    return "OW"
