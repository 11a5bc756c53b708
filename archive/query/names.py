"""The value of a person name key -> what its component groups must match (PS3.4 C.2.2.2.1, C.2.2.2.4).

Without `=` a name may be found in any of the three component groups (PS3.5 6.2.1.2); with it, each group that was
given is compared with its own. Unless names are strict, both sides are folded first: case, accents, width and trailing
`^` make no difference, so that a folded query finds what the strict one does, and more.
"""

from archive.dicom.values import fold_name, normalised_name
from archive.query.model import NameGroup, NamePart, PersonName
from archive.query.patterns import name_patterns


def person_name(value: str, *, is_folded: bool) -> PersonName | None:
    """The condition of one name; None if every name matches."""
    groups = tuple(NameGroup)
    if "=" in value:
        given = [((group,), text) for group, text in zip(groups, value.split("="), strict=False)]
    else:
        given = [(groups, value)]
    normal = fold_name if is_folded else normalised_name
    parts = []
    for searched, text in given:
        patterns = name_patterns(normal(text), is_folded=is_folded)
        if patterns:
            parts.append(NamePart(searched, patterns))
    return PersonName(tuple(parts), is_folded) if parts else None
