"""C-FIND by findscu, pynetdicom and raw requests: every kind of matching, at every level, and how a query ends."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence

from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import ct, instance
from tests.wire.raw_messages import EXPLICIT, FIND_RQ, IMPLICIT, PATIENT_ROOT_FIND, STUDY_ROOT_FIND, Message, Proposed
from tests.wire.raw_scu import RawScu
from tests.wire.running import Archive, identifier

PATIENT_STUDY_ONLY_FIND = "1.2.840.10008.5.1.4.1.2.3.1"
BOTH_ROOTS = (Proposed(STUDY_ROOT_FIND, (EXPLICIT,)), Proposed(PATIENT_ROOT_FIND, (EXPLICIT,)))
RELATIONAL, COMBINED = b"\1", b"\0\1"


def decoded(message: Message, syntax: str = EXPLICIT) -> Dataset:
    """The identifier of a response."""
    assert message.data_set is not None
    return read_dataset(BytesIO(message.data_set), is_implicit_VR=syntax == IMPLICIT, is_little_endian=True)


def holdings() -> list[FileDataset]:
    """Three patients, five studies, and what is needed to tell the kinds of matching apart."""
    request = Dataset()
    request.RequestedProcedureID, request.ScheduledProcedureStepID = "RP1", "SPS1"
    return [
        instance(patient=1, study=1, number=1, PatientName="Müller^Jörg", StudyDate="20260105", StudyTime="081500"),
        instance(patient=1, study=1, number=2, PatientName="Müller^Jörg", StudyDate="20260105", StudyTime="081500"),
        ct(patient=1, study=2, side_pixels=16, PatientName="Müller^Jörg", StudyDate="20260220", StudyTime="120000"),
        instance(
            patient=2,
            study=3,
            PatientName="Doe^John^Q",
            StudyDate="20260220",
            StudyTime="235959",
            AccessionNumber="B-77",
            OtherPatientIDs=["X1", "X2"],
            RequestAttributesSequence=Sequence([request]),
            InstanceNumber="07",
            SeriesDescription="Axial  thin",
        ),
        instance(patient=3, study=4, PatientName="Doe^Jane", StudyDate="20270101", StudyTime="000000", StudyID="S*4"),
        ct(
            patient=3,
            study=5,
            side_pixels=16,
            PatientName="Doe^Jane",
            StudyDate="",
            StudyTime="",
            SliceThickness="1.50",
        ),
        instance(patient=3, study=5, series=2, PatientName="Doe^Jane", StudyDate="", StudyTime="", Modality="SR"),
    ]


def study(number: int, patient: int = 1) -> str:
    return instance(patient=patient, study=number).StudyInstanceUID


STUDIES = {1: study(1), 2: study(2), 3: study(3, 2), 4: study(4, 3), 5: study(5, 3)}


def numbers(answers: Iterable[Dataset]) -> list[int]:
    """Which of the five studies were answered."""
    by_uid = {uid: number for number, uid in STUDIES.items()}
    return sorted(by_uid[answer.StudyInstanceUID] for answer in answers)


@pytest.fixture
def filled(archive: Archive) -> Archive:
    """The archive with the holdings above."""
    archive.store(*holdings())
    return archive


# Matching, by findscu. One test for all the kinds: a store and a findscu each cost more than the query.

MATCHING: list[tuple[str, list[str], list[int]]] = [
    ("universal", [], [1, 2, 3, 4, 5]),
    ("single value", ["AccessionNumber=B-77"], [3]),
    ("single value is case-sensitive", ["AccessionNumber=b-77"], []),
    ("UID", [f"StudyInstanceUID={STUDIES[2]}"], [2]),
    ("UID list", [f"StudyInstanceUID={STUDIES[2]}\\{STUDIES[4]}\\1.2.3"], [2, 4]),
    ("wild card *", ["PatientID=P00000*"], [1, 2, 3, 4, 5]),
    ("wild card ?", ["PatientID=P00000?", "AccessionNumber=B-?7"], [3]),
    ("wild card in the middle", ["AccessionNumber=B*7"], [3]),
    ("stored wild card", ["StudyID=S*4"], [4]),
    ("percent is no wild card", ["AccessionNumber=%"], []),
    ("underscore is no wild card", ["AccessionNumber=B_77"], []),
    ("date", ["StudyDate=20260220"], [2, 3]),
    ("date range", ["StudyDate=20260106-20260220"], [2, 3]),
    ("dates up to", ["StudyDate=-20260105"], [1]),
    ("dates from", ["StudyDate=20260221-"], [4]),
    ("time range", ["StudyTime=12-2359"], [2, 3]),
    ("date and time apart", ["StudyDate=20260105-20260220", "StudyTime=12-13"], [2]),
    ("name without regard to case", ["PatientName=DOE^JOHN^Q"], [3]),
    ("name with wild card", ["PatientName=doe*"], [3, 4, 5]),
    ("name with question mark", ["PatientName=Doe^J??e"], [4, 5]),
    ("name by given name", ["PatientName=*^Jane"], [4, 5]),
    ("multi-valued attribute", ["(0010,1000)=X2"], [3]),
    ("modalities in study", ["ModalitiesInStudy=CT"], [2, 5]),
    ("modalities in study, any of two", ["ModalitiesInStudy=SR\\CT"], [2, 5]),
    ("SOP classes in study", ["SOPClassesInStudy=1.2.840.10008.5.1.4.1.1.2"], [2, 5]),
    ("several keys", ["PatientName=Doe*", "StudyDate=2027*", "StudyDate=20270101"], [4]),
    ("nothing", ["PatientID=NOBODY"], []),
]


def test_every_kind_of_matching_by_findscu(filled: Archive, dcmtk: Dcmtk) -> None:
    def ask(case: tuple[str, list[str], list[int]]) -> tuple[str, list[int]]:
        name, keys, _ = case
        words = [word for key in ("QueryRetrieveLevel=STUDY", "StudyInstanceUID", *keys) for word in ("-k", key)]
        ran = dcmtk.run("findscu", "-S", "-aec", filled.title, *words, "127.0.0.1", filled.port)
        assert ran.is_ok, ran
        by_uid = {uid: number for number, uid in STUDIES.items()}
        found = [line.split("[")[1].split("]")[0] for line in ran.output.splitlines() if "(0020,000d)" in line]
        return name, sorted(by_uid[uid.rstrip("\0 ")] for uid in found)

    with ThreadPoolExecutor(2) as pool:
        answers = dict(pool.map(ask, MATCHING))

    assert answers == {name: expected for name, _, expected in MATCHING}


LEVELS: list[tuple[str, list[str], int]] = [
    ("-P", ["QueryRetrieveLevel=PATIENT", "PatientName"], 3),
    ("-P", ["QueryRetrieveLevel=STUDY", "PatientID=P000001", "StudyInstanceUID"], 2),
    ("-P", ["QueryRetrieveLevel=SERIES", "PatientID=P000003", f"StudyInstanceUID={STUDIES[5]}", "Modality"], 2),
    (
        "-P",
        [
            "QueryRetrieveLevel=IMAGE",
            "PatientID=P000001",
            f"StudyInstanceUID={STUDIES[1]}",
            f"SeriesInstanceUID={instance().SeriesInstanceUID}",
            "SOPInstanceUID",
        ],
        2,
    ),
    ("-S", ["QueryRetrieveLevel=STUDY", "PatientName=Doe*"], 3),
    ("-S", ["QueryRetrieveLevel=SERIES", f"StudyInstanceUID={STUDIES[5]}", "Modality=SR"], 1),
    (
        "-S",
        [
            "QueryRetrieveLevel=IMAGE",
            f"StudyInstanceUID={STUDIES[1]}",
            f"SeriesInstanceUID={instance().SeriesInstanceUID}",
            "InstanceNumber=002",
        ],
        1,
    ),
    ("-O", ["QueryRetrieveLevel=PATIENT", "PatientID"], 3),
    ("-O", ["QueryRetrieveLevel=STUDY", "PatientID=P000003"], 2),
]


def test_every_level_of_every_model_is_answered_by_findscu(filled: Archive, dcmtk: Dcmtk) -> None:
    for model, keys, expected in LEVELS:
        ran, answers = dcmtk.find(filled.port, *keys, model=model, called=filled.title.name)

        assert ran.is_ok, ran
        assert len(answers) == expected, ran
        level = keys[0].partition("=")[2]
        assert {answer.QueryRetrieveLevel for answer in answers} == {level}
        assert {answer.RetrieveAETitle for answer in answers} == {filled.title.name}


def find(archive: Archive, sop_class: str = STUDY_ROOT_FIND, **keys: Any) -> tuple[list[Dataset], Message]:
    """The answers and the final response to one raw query."""
    with archive.associate(*BOTH_ROOTS) as scu:
        responses = scu.find(sop_class, identifier(**keys))
        scu.release()
    return [decoded(each) for each in responses[:-1]], responses[-1]


def test_what_is_computed_is_answered(filled: Archive) -> None:
    keys = ("NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "ModalitiesInStudy", "SOPClassesInStudy")
    wanted = dict.fromkeys((*keys, "InstanceAvailability", "NumberOfPatientRelatedStudies"))

    answers, final = find(filled, QueryRetrieveLevel="STUDY", StudyInstanceUID=STUDIES[5], **wanted)

    (answer,) = answers
    assert final.status == 0
    assert (answer.NumberOfStudyRelatedSeries, answer.NumberOfStudyRelatedInstances) == (2, 2)
    assert list(answer.ModalitiesInStudy) == ["CT", "SR"]
    assert len(answer.SOPClassesInStudy) == 2
    assert answer.InstanceAvailability == "ONLINE"
    assert answer.NumberOfPatientRelatedStudies == 2


def test_any_attribute_of_the_stored_header_is_answered(filled: Archive) -> None:
    series = ct(patient=3, study=5).SeriesInstanceUID
    above = {"StudyInstanceUID": STUDIES[5], "SeriesInstanceUID": series}

    answers, _ = find(filled, QueryRetrieveLevel="IMAGE", **above, SOPInstanceUID=None, SliceThickness=None)

    assert [answer.SliceThickness for answer in answers] == [1.5]


def test_integers_and_decimals_match_as_numbers(filled: Archive) -> None:
    above = {"StudyInstanceUID": STUDIES[3], "SeriesInstanceUID": instance(patient=2, study=3).SeriesInstanceUID}

    answers, _ = find(filled, QueryRetrieveLevel="IMAGE", **above, InstanceNumber="7")

    assert [str(answer.InstanceNumber) for answer in answers] == ["07"]


def test_sequence_matching(filled: Archive) -> None:
    def ask(procedure: str, step: str) -> int:
        item = Dataset()
        item.RequestedProcedureID, item.ScheduledProcedureStepID = procedure, step
        sequence = Sequence([item])
        answers, _ = find(
            filled,
            QueryRetrieveLevel="SERIES",
            StudyInstanceUID=STUDIES[3],
            RequestAttributesSequence=sequence,
        )
        return len(answers)

    assert (ask("RP1", "SPS1"), ask("RP1", ""), ask("RP1", "OTHER"), ask("OTHER", "")) == (1, 1, 0, 0)


def test_a_value_of_an_unsupported_key_is_no_restriction_and_is_told(filled: Archive) -> None:
    with filled.associate(*BOTH_ROOTS) as scu:
        responses = scu.find(
            STUDY_ROOT_FIND,
            identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=STUDIES[1], PregnancyStatus=4, PatientState="well"),
        )

    assert [each.status for each in responses] == [0xFF01, 0x0000]


# Refusals.


@pytest.mark.parametrize(
    "sop_class, keys, status",
    [
        pytest.param(STUDY_ROOT_FIND, {"StudyInstanceUID": None}, 0xA900, id="no level"),
        pytest.param(STUDY_ROOT_FIND, {"QueryRetrieveLevel": "FRAME"}, 0xC000, id="unknown level"),
        pytest.param(
            STUDY_ROOT_FIND, {"QueryRetrieveLevel": "PATIENT", "PatientID": "X"}, 0xC000, id="level of no model"
        ),
        pytest.param(STUDY_ROOT_FIND, {"QueryRetrieveLevel": "SERIES", "Modality": "CT"}, 0xC000, id="no study UID"),
        pytest.param(PATIENT_ROOT_FIND, {"QueryRetrieveLevel": "STUDY"}, 0xC000, id="no patient ID"),
    ],
)
def test_an_identifier_that_makes_no_sense_is_refused(
    filled: Archive, sop_class: str, keys: dict[str, Any], status: int
) -> None:
    answers, final = find(filled, sop_class, **keys)

    assert answers == []
    assert final.status == status
    assert final.comment


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 300, b"\x08\x00\x52\x00CS\xff\xff"], ids=["empty", "garbage", "cut"]
)
def test_an_identifier_that_cannot_be_read_is_refused_and_the_association_goes_on(
    filled: Archive, content: bytes
) -> None:
    with filled.associate(*BOTH_ROOTS) as scu:
        refused = scu.find(STUDY_ROOT_FIND, content)
        answered = scu.find(STUDY_ROOT_FIND, identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=None))
        scu.release()

    assert [each.status for each in refused] == [0xA900]
    assert len(answered) == 6


def test_an_identifier_without_an_end_is_refused_by_its_size(filled: Archive) -> None:
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=None)
    with filled.associate(*BOTH_ROOTS) as scu:
        refused = scu.find(STUDY_ROOT_FIND, keys + b"\x20\x00\x10\x00SH\x00\x00" * 400_000)
        assert len(scu.find(STUDY_ROOT_FIND, keys)) == 6
        scu.release()

    assert [each.status for each in refused] == [0xA900]


# How a query ends.


@pytest.fixture
def crowded(archive: Archive) -> Archive:
    """The archive with 1500 instances in one series."""
    archive.store(instance())
    archive.multiply(archive.title.area, 1499)
    return archive


ONE_SERIES = {"StudyInstanceUID": instance().StudyInstanceUID, "SeriesInstanceUID": instance().SeriesInstanceUID}


def test_fifteen_hundred_answers_and_their_end(crowded: Archive, dcmtk: Dcmtk) -> None:
    """All in chunks; cancelled by findscu and by hand; limited; and read slowly: one store of 1500 serves them all."""
    all_of_them = identifier(QueryRetrieveLevel="IMAGE", **ONE_SERIES, SOPInstanceUID=None)

    with crowded.associate(*BOTH_ROOTS) as scu:
        complete = scu.find(STUDY_ROOT_FIND, all_of_them)
        _cancels(scu, all_of_them)
        scu.release()
    assert [each.status for each in complete] == [0xFF00] * 1500 + [0x0000]
    assert len({decoded(each).SOPInstanceUID for each in complete[:-1]}) == 1500

    _findscu_cancels(crowded, dcmtk)
    _slow_reader_blocks_nobody(crowded, all_of_them)
    _limit_ends_the_answer(crowded, all_of_them)


def _cancels(scu: RawScu, question: bytes) -> None:
    with scu.said_at_once():
        message_id = scu.ask(STUDY_ROOT_FIND, FIND_RQ, question)
        scu.cancel(STUDY_ROOT_FIND, message_id)
    responses = list(scu.responses())
    assert responses[-1].status == 0xFE00
    assert len(responses) < 1000
    assert scu.find(STUDY_ROOT_FIND, identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=None))[-1].status == 0


def _findscu_cancels(archive: Archive, dcmtk: Dcmtk) -> None:
    keys = [f"{keyword}={value}" for keyword, value in {"QueryRetrieveLevel": "IMAGE", **ONE_SERIES}.items()]
    words = [word for key in (*keys, "SOPInstanceUID") for word in ("-k", key)]
    options = ("-d", "-S", "--cancel", 3, "-aec", archive.title)
    for _ in range(10):  # where findscu is slow, all the answers may be under way before it has read three
        ran = dcmtk.run("findscu", *options, *words, "127.0.0.1", archive.port)
        assert "Cancel Request" in ran.output, ran
        if "0xfe00" in ran.output:
            return
    raise AssertionError("ten queries were cancelled, and none of them ended")


def _slow_reader_blocks_nobody(archive: Archive, question: bytes) -> None:
    with archive.associate(*BOTH_ROOTS, receive_buffer_bytes=4096) as slow:
        slow.ask(STUDY_ROOT_FIND, FIND_RQ, question)
        assert slow.receive().status == 0xFF00  # under way, and now it reads nothing for a while

        archive.store(*(instance(study=2, number=number, side_pixels=0) for number in range(10)))

        assert len(list(slow.responses())) == 1500
        slow.release()


def _limit_ends_the_answer(archive: Archive, question: bytes) -> None:
    archive.set_area(archive.title.area, answer_limit=700)
    with archive.associate(*BOTH_ROOTS) as scu:
        responses = scu.find(STUDY_ROOT_FIND, question)
        scu.release()
    assert [each.status for each in responses] == [0xFF00] * 700 + [0xA700]
    assert "700" in responses[-1].comment


def test_an_answer_of_exactly_the_limit_is_complete(filled: Archive) -> None:
    filled.set_area(filled.title.area, answer_limit=5)

    answers, final = find(filled, QueryRetrieveLevel="STUDY", StudyInstanceUID=None)

    assert (len(answers), final.status) == (5, 0)


# What was negotiated.


def test_relational_queries_where_they_were_negotiated(filled: Archive) -> None:
    with filled.associate(*BOTH_ROOTS, extended={STUDY_ROOT_FIND: RELATIONAL}) as scu:
        assert scu.extended == {STUDY_ROOT_FIND: RELATIONAL}
        responses = scu.find(
            STUDY_ROOT_FIND, identifier(QueryRetrieveLevel="SERIES", PatientName="Doe^*", Modality="OT")
        )
        scu.release()

    assert [each.status for each in responses] == [0xFF00, 0xFF00, 0]


def test_date_and_time_are_one_range_where_that_was_negotiated(filled: Archive) -> None:
    keys = identifier(QueryRetrieveLevel="STUDY", StudyDate="20260105-20260220", StudyTime="120000-080000")
    dates = identifier(
        QueryRetrieveLevel="STUDY", StudyInstanceUID=None, StudyDate="20260105-20260220", StudyTime="120000-120000"
    )

    with filled.associate(*BOTH_ROOTS, extended={STUDY_ROOT_FIND: COMBINED}) as scu:
        responses = scu.find(STUDY_ROOT_FIND, dates)
        assert scu.find(STUDY_ROOT_FIND, keys)[-1].status == 0
        scu.release()

    assert numbers(decoded(each) for each in responses[:-1]) == [2]  # 5 January 8:15 is before the range


# Encodings.


def test_answers_come_in_the_transfer_syntax_of_the_context(filled: Archive) -> None:
    for syntax in (EXPLICIT, IMPLICIT):
        with filled.associate(Proposed(STUDY_ROOT_FIND, (syntax,))) as scu:
            keys = identifier(syntax, QueryRetrieveLevel="STUDY", StudyInstanceUID=STUDIES[1], PatientName=None)
            responses = scu.find(STUDY_ROOT_FIND, keys)
            scu.release()

        assert decoded(responses[0], syntax).PatientName == "Müller^Jörg"
