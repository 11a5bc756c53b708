"""Names in many alphabets: found in the character set of the question, answered in it where they fit, else in UTF-8."""

from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import CHARSET_FOLDER, instance
from tests.wire.raw_messages import EXPLICIT, IMPLICIT, STUDY_ROOT_FIND, Message, Proposed
from tests.wire.running import Archive, encoded_identifier

BOTH_ROOTS = (Proposed(STUDY_ROOT_FIND, (EXPLICIT,)),)


def decoded(message: Message) -> Dataset:
    """The identifier of a response."""
    assert message.data_set is not None
    return read_dataset(BytesIO(message.data_set), is_implicit_VR=False, is_little_endian=True)


@pytest.fixture
def filled(archive: Archive) -> Archive:
    """The archive with two studies of one German patient, and one of another."""
    archive.store(*(instance(study=study, PatientName="Müller^Jörg") for study in (1, 2)))
    archive.store(instance(patient=2, PatientName="Doe^Jane"))
    return archive


def test_a_name_is_found_in_the_character_set_of_the_question(filled: Archive) -> None:
    for character_set, encoding in (("ISO_IR 100", "latin-1"), ("ISO_IR 192", "utf-8")):
        question = Dataset()
        question.SpecificCharacterSet, question.QueryRetrieveLevel = character_set, "STUDY"
        question.PatientName = "MÜLLER^J?RG"
        with filled.associate(*BOTH_ROOTS) as scu:
            responses = scu.find(STUDY_ROOT_FIND, encoded_identifier(question))
            scu.release()

        assert [each.status for each in responses] == [0xFF00, 0xFF00, 0]
        answer = decoded(responses[0])
        assert answer.SpecificCharacterSet == character_set
        assert "Müller^Jörg".encode(encoding) in (responses[0].data_set or b"")


def test_findscu_with_a_latin_1_question(filled: Archive, dcmtk: Dcmtk, tmp_path: Path) -> None:
    question = Dataset()
    question.SpecificCharacterSet, question.QueryRetrieveLevel = "ISO_IR 100", "STUDY"
    question.PatientName, question.StudyInstanceUID = "m?ller^*", ""
    file = tmp_path / "latin1.dcm"
    file.write_bytes(encoded_identifier(question, IMPLICIT))

    ran = dcmtk.run("findscu", "-S", "-aec", filled.title, "127.0.0.1", filled.port, file)

    assert ran.output.count("(0020,000d)") == 2, ran


JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"


def test_japanese_is_found_by_any_group_and_answered_in_the_set_asked_for(archive: Archive) -> None:
    iso_2022 = ["", "ISO 2022 IR 87"]
    archive.store(instance(SpecificCharacterSet=iso_2022, PatientName=JAPANESE))

    for character_set, name in (
        (iso_2022, "=山田*"),
        ("ISO_IR 192", "山?^太郎"),
        ("ISO_IR 192", "yamada*"),
        (iso_2022, "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    ):
        question = Dataset()
        question.SpecificCharacterSet, question.QueryRetrieveLevel = character_set, "STUDY"
        question.PatientName = name
        with archive.associate(*BOTH_ROOTS) as scu:
            responses = scu.find(STUDY_ROOT_FIND, encoded_identifier(question))
            scu.release()

        assert [each.status for each in responses] == [0xFF00, 0], name
        answer = decoded(responses[0])
        assert answer.SpecificCharacterSet == character_set
        assert str(answer.PatientName) == JAPANESE


def test_what_does_not_fit_the_set_asked_for_is_answered_in_utf_8(archive: Archive) -> None:
    archive.store(instance(PatientName=JAPANESE))

    for character_set in ("ISO_IR 100", None):
        question = Dataset()
        if character_set:
            question.SpecificCharacterSet = character_set
        question.QueryRetrieveLevel, question.PatientName = "STUDY", "Yamada*"
        with archive.associate(*BOTH_ROOTS) as scu:
            responses = scu.find(STUDY_ROOT_FIND, encoded_identifier(question))
            scu.release()

        answer = decoded(responses[0])
        assert answer.SpecificCharacterSet == "ISO_IR 192"
        assert str(answer.PatientName) == JAPANESE


def samples() -> list[Path]:
    """pydicom's own files in many character sets, but for those whose name is no name."""
    found = []
    for path in sorted(CHARSET_FOLDER.glob("*.dcm")):
        data_set = dcmread(path)
        if data_set.get("PatientName") and data_set.get("SpecificCharacterSet") and data_set.get("StudyInstanceUID"):
            found.append(path)
    return found


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.stem)
def test_names_of_every_character_set_are_found_in_unicode(archive: Archive, path: Path) -> None:
    held = dcmread(path)
    held.decode()
    archive.store_file(path)
    name = str(held.PatientName).rstrip("=^ ")
    for value in (name, name[:-1] + "?", name[: len(name) // 2] + "*"):
        question = Dataset()
        question.SpecificCharacterSet, question.QueryRetrieveLevel = "ISO_IR 192", "STUDY"
        question.PatientName, question.StudyInstanceUID = value, ""
        with archive.associate(*BOTH_ROOTS) as scu:
            responses = scu.find(STUDY_ROOT_FIND, encoded_identifier(question))
            scu.release()

        assert [each.status for each in responses] == [0xFF00, 0], value
        answer = decoded(responses[0])
        assert answer.StudyInstanceUID == held.StudyInstanceUID
        assert str(answer.PatientName).rstrip("=^ ") == name


def test_a_question_mark_is_one_character_and_not_one_byte(filled: Archive) -> None:
    for pattern, found in (("M?ller^J?rg", 2), ("M??ller^J?rg", 0)):
        question = Dataset()
        question.SpecificCharacterSet, question.QueryRetrieveLevel = "ISO_IR 192", "STUDY"
        question.PatientName = pattern
        with filled.associate(*BOTH_ROOTS) as scu:
            responses = scu.find(STUDY_ROOT_FIND, encoded_identifier(question))
            scu.release()

        assert len(responses) - 1 == found


def test_strict_names_regard_case_and_accents(filled: Archive) -> None:
    filled.set_area(filled.title.area, strict_names=True)

    for pattern, found in (("Müller^Jörg", 2), ("müller^jörg", 0), ("Muller^Jorg", 0), ("Müller*", 2)):
        question = Dataset()
        question.SpecificCharacterSet, question.QueryRetrieveLevel = "ISO_IR 192", "STUDY"
        question.PatientName = pattern
        with filled.associate(*BOTH_ROOTS) as scu:
            responses = scu.find(STUDY_ROOT_FIND, encoded_identifier(question))
            scu.release()

        assert len(responses) - 1 == found, pattern
