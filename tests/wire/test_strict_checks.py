"""Identifiers that do not keep to the hierarchy, at titles that check it and at those that do not; beside dcmqrscp.

dcmqrscp -XF -XM is asked the same wherever only keys that it knows too are in the identifier.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.fix_instances import instance
from tests.wire.raw_messages import (
    PATIENT_ROOT_FIND,
    PATIENT_ROOT_GET,
    PATIENT_ROOT_MOVE,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    Proposed,
)
from tests.wire.raw_scu import RawScu
from tests.wire.real_dcmqrscp import RealDcmqrscp
from tests.wire.running import Archive, identifier

PATIENT_STUDY_ONLY_FIND, PATIENT_STUDY_ONLY_MOVE, PATIENT_STUDY_ONLY_GET = (
    f"1.2.840.10008.5.1.4.1.2.3.{number}" for number in (1, 2, 3)
)
CONTEXTS = tuple(
    Proposed(uid)
    for uid in (
        PATIENT_ROOT_FIND,
        PATIENT_ROOT_MOVE,
        PATIENT_ROOT_GET,
        STUDY_ROOT_FIND,
        STUDY_ROOT_MOVE,
        STUDY_ROOT_GET,
        PATIENT_STUDY_ONLY_FIND,
        PATIENT_STUDY_ONLY_MOVE,
        PATIENT_STUDY_ONLY_GET,
    )
)
OK, REFUSED, UNABLE = 0x0000, 0xA900, 0xC000
UID = "1.2.3.999"

# Model, level, keys; the status of a title that checks, and of one that does not.
FINDS = {
    "patient level": (PATIENT_ROOT_FIND, "PATIENT", {"PatientName": ""}, OK, OK),
    "unique key above with a value": (PATIENT_ROOT_FIND, "STUDY", {"PatientID": "P", "StudyDate": ""}, OK, OK),
    "wild card above": (PATIENT_ROOT_FIND, "STUDY", {"PatientID": "P*", "StudyDate": ""}, OK, OK),
    "uid list above": (STUDY_ROOT_FIND, "SERIES", {"StudyInstanceUID": [UID, "1.2"], "Modality": ""}, OK, OK),
    "unique key above missing": (PATIENT_ROOT_FIND, "STUDY", {"StudyDate": ""}, REFUSED, UNABLE),
    "unique key above empty": (PATIENT_ROOT_FIND, "STUDY", {"PatientID": "", "StudyDate": ""}, REFUSED, OK),
    "another key above": (
        PATIENT_ROOT_FIND,
        "STUDY",
        {"PatientID": "P", "PatientName": "", "StudyDate": ""},
        REFUSED,
        OK,
    ),
    "one of two above missing": (
        PATIENT_ROOT_FIND,
        "SERIES",
        {"StudyInstanceUID": UID, "Modality": ""},
        REFUSED,
        UNABLE,
    ),
    "no key of the level": (PATIENT_ROOT_FIND, "STUDY", {"PatientID": "P"}, REFUSED, OK),
    "key below": (STUDY_ROOT_FIND, "STUDY", {"StudyInstanceUID": UID, "Modality": ""}, REFUSED, OK),
    "what is no key, below": (STUDY_ROOT_FIND, "STUDY", {"StudyInstanceUID": UID, "SliceThickness": ""}, OK, OK),
    "study root, patient keys at study level": (
        STUDY_ROOT_FIND,
        "STUDY",
        {"StudyInstanceUID": UID, "PatientName": "X", "PatientID": "P"},
        OK,
        OK,
    ),
    "study root, patient keys only": (STUDY_ROOT_FIND, "STUDY", {"PatientName": "NOBODY"}, REFUSED, OK),
    "study root, patient key at series level": (
        STUDY_ROOT_FIND,
        "SERIES",
        {"StudyInstanceUID": UID, "Modality": "", "PatientID": "P"},
        REFUSED,
        OK,
    ),
    "study root, patient level": (STUDY_ROOT_FIND, "PATIENT", {"PatientID": "P"}, REFUSED, UNABLE),
    "patient/study only, series level": (
        PATIENT_STUDY_ONLY_FIND,
        "SERIES",
        {"PatientID": "P", "StudyInstanceUID": UID, "Modality": ""},
        REFUSED,
        UNABLE,
    ),
    "small letters": (STUDY_ROOT_FIND, "study", {"StudyInstanceUID": UID}, OK, OK),
    "no level word": (STUDY_ROOT_FIND, "FRAME", {"StudyInstanceUID": UID}, UNABLE, UNABLE),
}
# The same for C-MOVE and C-GET, of instances that there are not.
RETRIEVES = {
    "patient": ("PR", "PATIENT", {"PatientID": "NOBODY"}, OK, OK),
    "study": ("SR", "STUDY", {"StudyInstanceUID": UID}, OK, OK),
    "uid list": ("SR", "STUDY", {"StudyInstanceUID": [UID, "1.2.3.998"]}, OK, OK),
    "study of a patient": ("PR", "STUDY", {"PatientID": "NOBODY", "StudyInstanceUID": UID}, OK, OK),
    "study without its patient": ("PR", "STUDY", {"StudyInstanceUID": UID}, REFUSED, REFUSED),
    "empty unique key": ("SR", "STUDY", {"StudyInstanceUID": ""}, REFUSED, REFUSED),
    "study root, patient key": ("SR", "STUDY", {"StudyInstanceUID": UID, "PatientID": "NOBODY"}, REFUSED, OK),
    "another key of the level": ("SR", "STUDY", {"StudyInstanceUID": UID, "StudyDate": ""}, REFUSED, OK),
    "key below": ("SR", "STUDY", {"StudyInstanceUID": UID, "SeriesInstanceUID": "1.2"}, REFUSED, OK),
    "image without its series": ("SR", "IMAGE", {"StudyInstanceUID": UID, "SOPInstanceUID": "1.2"}, REFUSED, REFUSED),
    "no key": ("SR", "STUDY", {}, REFUSED, REFUSED),
    "study root, patient level": ("SR", "PATIENT", {"PatientID": "NOBODY"}, REFUSED, UNABLE),
    "patient/study only, series level": (
        "PSO",
        "SERIES",
        {"PatientID": "NOBODY", "StudyInstanceUID": UID, "SeriesInstanceUID": "1.2"},
        REFUSED,
        UNABLE,
    ),
    "no level word": ("SR", "FRAME", {"StudyInstanceUID": UID}, UNABLE, UNABLE),
}
MODELS = {
    "PR": (PATIENT_ROOT_MOVE, PATIENT_ROOT_GET),
    "SR": (STUDY_ROOT_MOVE, STUDY_ROOT_GET),
    "PSO": (PATIENT_STUDY_ONLY_MOVE, PATIENT_STUDY_ONLY_GET),
}


@pytest.fixture
def asked(archive: Archive) -> Iterator[RawScu]:
    """An association with a title that checks everything."""
    archive.set_title(archive.title, strict_find=True, strict_move=True)
    with archive.associate(*CONTEXTS) as scu:
        yield scu
        scu.release()


def ask(scu: RawScu, sop_class: str, level: str, keys: Mapping[str, Any]) -> int:
    """The final status of a query or retrieve."""
    with warnings.catch_warnings(action="ignore"):  # some level words are odd on purpose
        data_set = identifier(QueryRetrieveLevel=level, **keys)
    if sop_class.endswith(".1"):
        return scu.find(sop_class, data_set)[-1].status
    if sop_class.endswith(".2"):
        return scu.move(sop_class, data_set, "NOBODY")[-1].status
    return scu.get(sop_class, data_set).final.status


def test_a_title_that_checks_answers_every_find_as_dcmqrscp_does(
    asked: RawScu, start_dcmqrscp: Callable[..., RealDcmqrscp]
) -> None:
    expected = {name: strict for name, (_, _, _, strict, _) in FINDS.items()}
    questions = {name: (model, level, keys) for name, (model, level, keys, _, _) in FINDS.items()}
    with start_dcmqrscp("-XF", "-XM").associate(*CONTEXTS) as real:
        assert {name: ask(real, *question) for name, question in questions.items()} == expected

    assert {name: ask(asked, *question) for name, question in questions.items()} == expected


def test_a_title_that_checks_answers_every_retrieve_as_dcmqrscp_does(
    asked: RawScu, start_dcmqrscp: Callable[..., RealDcmqrscp]
) -> None:
    for place in (0, 1):
        expected = {name: strict for name, (_, _, _, strict, _) in RETRIEVES.items()}
        questions = {
            name: (MODELS[model][place], level, keys) for name, (model, level, keys, _, _) in RETRIEVES.items()
        }
        with start_dcmqrscp("-XF", "-XM").associate(*CONTEXTS) as real:
            assert {name: ask(real, *question) for name, question in questions.items()} == expected

        assert {name: ask(asked, *question) for name, question in questions.items()} == expected


def test_a_title_that_does_not_check_takes_what_the_standard_lets_it_take(archive: Archive) -> None:
    questions = {name: (model, level, keys) for name, (model, level, keys, _, _) in FINDS.items()}
    questions |= {
        f"{name} by {MODELS[model][place]}": (MODELS[model][place], level, keys)
        for place in (0, 1)
        for name, (model, level, keys, _, _) in RETRIEVES.items()
    }
    expected = {name: lax for name, (_, _, _, _, lax) in FINDS.items()}
    expected |= {
        f"{name} by {MODELS[model][place]}": lax
        for place in (0, 1)
        for name, (model, _, _, _, lax) in RETRIEVES.items()
    }

    with archive.associate(*CONTEXTS) as scu:
        assert {name: ask(scu, *question) for name, question in questions.items()} == expected
        scu.release()


def test_finds_and_retrieves_are_checked_apart(archive: Archive) -> None:
    loose_find = (STUDY_ROOT_FIND, "STUDY", {"StudyInstanceUID": UID, "Modality": ""})
    loose_move = (STUDY_ROOT_MOVE, "STUDY", {"StudyInstanceUID": UID, "StudyDate": ""})
    for settings, expected in (
        ({"strict_find": True, "strict_move": False}, [REFUSED, OK]),
        ({"strict_find": False, "strict_move": True}, [OK, REFUSED]),
    ):
        archive.set_title(archive.title, **settings)
        with archive.associate(*CONTEXTS) as scu:
            assert [ask(scu, *loose_find), ask(scu, *loose_move)] == expected
            scu.release()


def test_the_offending_element_and_the_reason_are_told(asked: RawScu) -> None:
    data_set = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=UID, Modality="")

    (response,) = asked.find(STUDY_ROOT_FIND, data_set)

    assert response.offending_element == (0x0008, 0x0060)
    assert response.comment == "Modality has no place in an identifier of the STUDY level."


def test_relational_queries_are_not_negotiated_where_keys_are_checked(archive: Archive) -> None:
    archive.store(instance())
    for is_strict, answered, status in ((True, b"\0\1", UNABLE), (False, b"\1\1", OK)):
        archive.set_title(archive.title, strict_move=is_strict, strict_find=is_strict)

        with archive.associate(Proposed(STUDY_ROOT_FIND), extended={STUDY_ROOT_FIND: b"\1\1"}) as scu:
            assert scu.extended == {STUDY_ROOT_FIND: answered}
            last = scu.find(STUDY_ROOT_FIND, identifier(QueryRetrieveLevel="SERIES", Modality="OT"))[-1]
            assert last.status == (REFUSED if is_strict else status)
            scu.release()
