"""Attributes by the names of the dictionary, as DCMTK prints them (PS3.6, PS3.7 annex E)."""

import functools

from archive.dicom import further_dictionary

UNKNOWN = "Unknown Tag & Data"
_OWN = {
    0xFFFEE000: "Item",
    0xFFFEE00D: "ItemDelimitationItem",
    0xFFFEE0DD: "SequenceDelimitationItem",
}


@functools.lru_cache(maxsize=4096)
def name_of(tag: int, creator: str = "") -> str:
    """The keyword of an attribute, behind RETIRED_ if it is that; of a private one its name under its `creator`.

    What the standard does not know may have a name in a dictionary file of the user.
    """
    group, number = tag >> 16, tag & 0xFFFF
    if tag in _OWN:
        return _OWN[tag]
    if number == 0:
        return "GenericGroupLength"
    if group & 1:
        return _private(tag, creator, number)
    from pydicom.datadict import get_entry

    try:
        _, _, _, retired, keyword = get_entry(tag)
    except KeyError:
        return _further(tag)
    if not keyword:
        return _further(tag)
    return f"RETIRED_{keyword}" if retired else keyword


def _further(tag: int, creator: str = "") -> str:
    found = further_dictionary.entry(tag, creator)
    return found.name if found else UNKNOWN


def keyword_of(tag: int) -> str:
    """The keyword of the standard; empty where there is none."""
    if tag >> 16 & 1 or not tag & 0xFFFF:
        return ""
    from pydicom.datadict import keyword_for_tag

    return keyword_for_tag(tag)


def _private(tag: int, creator: str, number: int) -> str:
    if 0x10 <= number <= 0xFF:
        return "PrivateCreator"
    name = _further(tag, creator)
    if creator and name == UNKNOWN:
        from pydicom.datadict import private_dictionary_description

        try:
            return "".join(private_dictionary_description(tag, creator).strip("[]").split())
        except KeyError:
            return UNKNOWN
    return name
