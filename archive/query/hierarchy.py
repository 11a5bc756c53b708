"""Whether an identifier keeps to the hierarchy of its information model: the strict checks of dcmqrscp (-XF and -XM).

PS3.4 C.4.1.2 and C.4.2.1.4 ask for as much; peers often send more, so that a title checks it only where it is told to.
Only attributes that are keys here count; what is not held as a key may be in an identifier at every level.
"""

from collections.abc import Collection, Mapping

from archive.dicom.attributes import BY_TAG, UNIQUE_KEYS, Attribute, KeyType, Level
from archive.errors import InvalidIdentifier
from archive.query.model import Model


def require_find(keys: Mapping[int, bool], model: Model, level: Level) -> None:
    """The identifier of a C-FIND: `keys` are its tags, and whether each has a value. Raises InvalidIdentifier.

    Above the query level the unique keys and nothing else, each with a value; at it one key or more; below it none.
    In Study Root the patient's attributes are allowed at the STUDY level only.
    """
    by_level = _by_level(keys)
    for above in _levels(model, level):
        _require_unique_key_alone(by_level[above], above, keys)
    if model.root > Level.PATIENT and level is not model.root:
        _require_none(by_level[Level.PATIENT], level)
    if not by_level[level]:
        raise InvalidIdentifier(f"There is no key of the {level.name} level.")
    _require_none([key for below in Level if below > level for key in by_level[below]], level)


def require_retrieve(keys: Mapping[int, bool], model: Model, level: Level) -> None:
    """The identifier of a C-MOVE or C-GET, as `require_find`: down to the query level the unique keys, nothing else."""
    by_level = _by_level(keys)
    for each in (*_levels(model, level), level):
        _require_unique_key_alone(by_level[each], each, keys)
    _require_none([key for other in Level if other > level or other < model.root for key in by_level[other]], level)


def _by_level(keys: Collection[int]) -> dict[Level, list[Attribute]]:
    known = [BY_TAG[tag] for tag in keys if tag in BY_TAG and BY_TAG[tag].key_type is not KeyType.RETURN]
    return {level: [key for key in known if key.level is level] for level in Level}


def _levels(model: Model, level: Level) -> list[Level]:
    """The levels of the model above a level."""
    return [each for each in model.levels if each < level]


def _require_unique_key_alone(found: Collection[Attribute], level: Level, keys: Mapping[int, bool]) -> None:
    unique = UNIQUE_KEYS[level]
    for key in found:
        if key is not unique:
            raise InvalidIdentifier(
                f"{key.keyword} is not the unique key of the {level.name} level.", offending_element=key.tag
            )
    if not keys.get(unique.tag):
        raise InvalidIdentifier(f"{unique.keyword} is missing or empty.", offending_element=unique.tag)


def _require_none(found: Collection[Attribute], level: Level) -> None:
    for key in found:
        raise InvalidIdentifier(
            f"{key.keyword} has no place in an identifier of the {level.name} level.", offending_element=key.tag
        )
