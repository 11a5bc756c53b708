"""Is what a retrieval asks for what its user can mean? pure.

A peer may refuse an identifier without its level or its unique key, or send all it has (PS3.4 C.4.2.2.1, C.4.3.2.1).
Unique keys of the levels above are not asked for here: many archives do without them.
"""

from collections.abc import Iterable, Mapping

from archive.dicom.attributes import UNIQUE_KEYS
from archive.dicom.encode import Element
from archive.dicom.levels import Level

_QUERY_RETRIEVE_LEVEL = 0x00080052
_WILD_CARDS = "*?"

# By the long option of a model (PS3.4 C.6).
_LEVELS: Mapping[str, tuple[Level, ...]] = {
    "--patient": (Level.PATIENT, Level.STUDY, Level.SERIES, Level.IMAGE),
    "--study": (Level.STUDY, Level.SERIES, Level.IMAGE),
    "--psonly": (Level.PATIENT, Level.STUDY),
}


def doubt(elements: Iterable[Element], model: str) -> str:
    """What is wrong with the identifier of a C-MOVE or C-GET, and what to say instead; "" where nothing is."""
    values = {element.tag: element.value for element in elements}
    word = _text(values.get(_QUERY_RETRIEVE_LEVEL))
    names = [level.name for level in _LEVELS[model]]
    if not word:
        return f"there is no Query/Retrieve Level; say -k QueryRetrieveLevel={names[0]}, for instance"
    if word not in names:
        return f"{word} is no level of the information model {model}, which has {', '.join(names)}"
    unique = UNIQUE_KEYS[Level[word]]
    if not _text(values.get(unique.tag)).strip(_WILD_CARDS):
        return (
            f"there is no {unique.keyword}, which says of the level {word} what is meant; say -k {unique.keyword}=..."
        )
    return ""


def _text(value: object) -> str:
    return value.decode("latin-1").strip(" \0") if isinstance(value, bytes) else ""
