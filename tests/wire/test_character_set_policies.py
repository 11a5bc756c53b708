"""In which character set a title answers: as asked, as configured, fallen back, transliterated, discarded.

dcmqrscp with the options of the same meaning is asked too, where it is to answer the same. Debian's has the iconv of
the C library, which neither transliterates nor discards for it, and cannot read a Japanese name with code extensions.
"""

from collections.abc import Callable
from io import BytesIO
from typing import Any, NamedTuple

import pytest
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import instance
from tests.wire.raw_messages import EXPLICIT, STUDY_ROOT_FIND, Proposed
from tests.wire.raw_scu import RawScu
from tests.wire.real_dcmqrscp import RealDcmqrscp
from tests.wire.running import Archive, encoded_identifier

LATIN, GREEK, UNICODE = "ISO_IR 100", "ISO_IR 126", "ISO_IR 192"
ISO_2022 = ["", "ISO 2022 IR 87"]
NAMES = {
    LATIN: "Müller^Françoise^ß",
    GREEK: "Παπαδόπουλος^Ελένη",
    "japanese": "Yamada^Tarou=山田^太郎=やまだ^たろう",
}

# The columns of a title, and the options of dcmqrscp that mean the same.
POLICIES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "as asked, else unicode": ({}, ("+Cr", "+U8")),
    "as asked, else latin": ({"character_set": LATIN}, ("+Cr", "+L1")),
    "as asked, else greek": ({"character_set": GREEK}, ("+Cr", "+C", GREEK)),
    "as asked, else ascii": ({"character_set": ""}, ("+Cr", "+A7")),
    "as asked only": ({"character_set": LATIN, "character_set_falls_back": False}, ()),
    "unicode always": ({"character_set_overrides": True}, ("-Cr", "+U8")),
    "latin, else as asked": ({"character_set": LATIN, "character_set_overrides": True}, ("-Cr", "+L1")),
    "ascii, transliterated": (
        {"character_set": "", "character_set_overrides": True, "character_set_transliterates": True},
        ("-Cr", "+A7", "-Ct"),
    ),
    "ascii, discarded": (
        {"character_set": "", "character_set_overrides": True, "character_set_discards": True},
        ("-Cr", "+A7", "-Cd"),
    ),
    "as asked, transliterated": ({"character_set_transliterates": True}, ("+Cr", "+U8", "-Ct")),
    "as asked, both": (
        {"character_set_transliterates": True, "character_set_discards": True},
        ("+Cr", "+U8", "-Ct", "-Cd"),
    ),
}


class Case(NamedTuple):
    """One question: whose name, in which set it is asked, and the answer's set and name."""

    policy: str
    name: str
    asked: str | None
    character_set: str | None
    answer: str
    as_dcmqrscp: bool = True


CASES = [
    Case("as asked, else unicode", LATIN, LATIN, LATIN, NAMES[LATIN]),
    Case("as asked, else unicode", LATIN, UNICODE, UNICODE, NAMES[LATIN]),
    Case("as asked, else unicode", LATIN, GREEK, UNICODE, NAMES[LATIN]),
    Case("as asked, else unicode", LATIN, None, UNICODE, NAMES[LATIN]),
    Case("as asked, else unicode", GREEK, LATIN, UNICODE, NAMES[GREEK]),
    Case("as asked, else unicode", GREEK, GREEK, GREEK, NAMES[GREEK]),
    Case("as asked, else unicode", "japanese", LATIN, UNICODE, NAMES["japanese"], as_dcmqrscp=False),
    Case("as asked, else latin", LATIN, None, LATIN, NAMES[LATIN]),
    Case("as asked, else latin", LATIN, GREEK, LATIN, NAMES[LATIN]),
    # What fits neither is in its own set there, and in Unicode here.
    Case("as asked, else latin", GREEK, None, UNICODE, NAMES[GREEK], as_dcmqrscp=False),
    Case("as asked, else latin", "japanese", None, UNICODE, NAMES["japanese"], as_dcmqrscp=False),
    Case("as asked, else greek", GREEK, LATIN, GREEK, NAMES[GREEK]),
    Case("as asked, else greek", LATIN, LATIN, LATIN, NAMES[LATIN]),
    Case("as asked, else ascii", LATIN, None, UNICODE, NAMES[LATIN], as_dcmqrscp=False),
    Case("as asked, else ascii", LATIN, UNICODE, UNICODE, NAMES[LATIN]),
    Case("as asked only", LATIN, None, UNICODE, NAMES[LATIN], as_dcmqrscp=False),
    Case("as asked only", LATIN, LATIN, LATIN, NAMES[LATIN]),
    Case("unicode always", LATIN, LATIN, UNICODE, NAMES[LATIN]),
    Case("unicode always", "japanese", None, UNICODE, NAMES["japanese"], as_dcmqrscp=False),
    Case("latin, else as asked", LATIN, UNICODE, LATIN, NAMES[LATIN]),
    Case("latin, else as asked", GREEK, UNICODE, UNICODE, NAMES[GREEK]),
    Case("latin, else as asked", GREEK, GREEK, GREEK, NAMES[GREEK]),
    Case("ascii, transliterated", LATIN, UNICODE, None, "Muller^Francoise^ss", as_dcmqrscp=False),
    Case("ascii, transliterated", GREEK, UNICODE, UNICODE, NAMES[GREEK], as_dcmqrscp=False),
    Case("ascii, discarded", LATIN, UNICODE, None, "Mller^Franoise^", as_dcmqrscp=False),
    Case("ascii, discarded", "japanese", LATIN, None, "Yamada^Tarou=^=^", as_dcmqrscp=False),
    Case("as asked, transliterated", LATIN, None, None, "Muller^Francoise^ss", as_dcmqrscp=False),
    Case("as asked, transliterated", LATIN, GREEK, GREEK, "Muller^Francoise^ss", as_dcmqrscp=False),
    Case("as asked, transliterated", LATIN, LATIN, LATIN, NAMES[LATIN]),
    Case("as asked, both", "japanese", LATIN, LATIN, "Yamada^Tarou=^=^", as_dcmqrscp=False),
    Case("as asked, both", GREEK, LATIN, LATIN, "^", as_dcmqrscp=False),
]


def held(name: str) -> Any:
    """An instance of somebody with this name, in the name's own character set."""
    return instance(SpecificCharacterSet=ISO_2022 if name == "japanese" else name, PatientName=NAMES[name])


def answer(scu: RawScu, asked: str | None) -> tuple[str | None, str]:
    """The character set of the one answer, and its name as it reads in that set."""
    question = Dataset()
    if asked:
        question.SpecificCharacterSet = asked
    question.QueryRetrieveLevel, question.StudyInstanceUID, question.PatientName = "STUDY", "", ""
    with scu:
        first, last = scu.find(STUDY_ROOT_FIND, encoded_identifier(question))
        scu.release()
    assert (first.status, last.status) == (0xFF00, 0)
    found = read_dataset(BytesIO(first.data_set or b""), is_implicit_VR=False, is_little_endian=True)
    return found.get("SpecificCharacterSet") or None, str(found.PatientName)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.policy}: {case.name} for {case.asked}")
def test_an_answer_is_in_the_set_that_the_title_says(
    archive: Archive, start_dcmqrscp: Callable[..., RealDcmqrscp], case: Case
) -> None:
    settings, options = POLICIES[case.policy]
    archive.store(held(case.name))
    if settings:
        archive.set_title(archive.title, **settings)

    given = answer(archive.associate(Proposed(STUDY_ROOT_FIND, (EXPLICIT,))), case.asked)

    assert given == (case.character_set, case.answer)
    if case.as_dcmqrscp and options:
        real = start_dcmqrscp(*options)
        real.store(held(case.name))
        theirs = answer(real.associate(Proposed(STUDY_ROOT_FIND, (EXPLICIT,))), case.asked)
        assert theirs == (case.character_set, case.answer)


def test_an_answer_of_ascii_only_has_the_set_that_comes_first(archive: Archive) -> None:
    archive.store(instance(PatientName="Doe^John"))
    for settings, asked, expected in (
        ({}, None, None),
        ({}, LATIN, LATIN),
        ({"character_set_overrides": True}, LATIN, UNICODE),
        ({"character_set": ""}, LATIN, None),
    ):
        if settings:
            archive.set_title(archive.title, **settings)

        given = answer(archive.associate(Proposed(STUDY_ROOT_FIND, (EXPLICIT,))), asked)

        assert given == (expected, "Doe^John"), settings


def test_findscu_reads_a_transliterated_name(archive: Archive, dcmtk: Dcmtk) -> None:
    archive.store(held(LATIN))
    archive.set_title(archive.title, character_set_transliterates=True)

    ran, found = dcmtk.find(archive.port, "QueryRetrieveLevel=STUDY", "PatientName=m*", called=archive.title.name)

    assert [str(each.PatientName) for each in found] == ["Muller^Francoise^ss"], ran


def test_every_policy_writes_descriptions_too(archive: Archive, dcmtk: Dcmtk) -> None:
    """Text that is in no column of its own, too: it is kept in the remaining header."""
    archive.store(instance(SpecificCharacterSet=LATIN, StudyDescription="Schädel groß", PatientAddress="Nußallee 7"))
    archive.set_title(archive.title, character_set="", character_set_transliterates=True)

    ran, (found,) = dcmtk.find(
        archive.port, "QueryRetrieveLevel=STUDY", "StudyDescription=", "PatientAddress=", called=archive.title.name
    )

    assert (found.StudyDescription, found.PatientAddress) == ("Schadel gross", "Nussallee 7"), ran
