"""What dcmqrscp gets wrong, and this archive must not: a test for each of its known defects D1 to D29.

Many of these are a case of something that another test holds in all its cases; here each is reproduced as it was seen.
"""

import time
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import JPEGBaseline8Bit

from archive.registry import changes
from tests.fix_dcmtk import Dcmtk, Receiver
from tests.fix_instances import BUNDLED_FOLDER, data_set_bytes, encoded, instance
from tests.wire.raw_messages import (
    EXPLICIT,
    FIND_RQ,
    PATIENT_ROOT_FIND,
    SECONDARY_CAPTURE,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
    Message,
    Proposed,
    Rejected,
)
from tests.wire.receivers import pynetdicom_scp
from tests.wire.running import Archive, identifier


def small(**keywords: Any):
    """An instance without pixels."""
    return instance(side_pixels=0, **keywords)


def find(archive: Archive, sop_class: str = STUDY_ROOT_FIND, **keys: Any) -> tuple[list[Dataset], Message]:
    """The answers to a C-FIND, and its final response."""
    with archive.associate(Proposed(sop_class)) as scu:
        *answers, final = scu.find(sop_class, identifier(**keys))
        scu.release()
    return [decoded(answer) for answer in answers], final


def decoded(message: Message) -> Dataset:
    return read_dataset(BytesIO(message.data_set or b""), is_implicit_VR=False, is_little_endian=True)


def move(archive: Archive, destination: str, **keys: Any) -> list[Message]:
    """All responses to a C-MOVE."""
    with archive.associate(Proposed(STUDY_ROOT_MOVE)) as scu:
        responses = scu.move(STUDY_ROOT_MOVE, identifier(**keys), destination)
        scu.release()
    return responses


def study_of(data_set: Dataset) -> dict[str, str]:
    """The identifier of its study."""
    return {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": data_set.StudyInstanceUID}


def studies(archive: Archive) -> list[str]:
    answers, final = find(archive, QueryRetrieveLevel="STUDY", StudyInstanceUID=None)
    assert final.status == 0
    return [str(answer.StudyInstanceUID) for answer in answers]


def test_D1_three_stores_of_one_instance_in_two_studies_wipe_nothing(archive: Archive) -> None:
    area = archive.title.area
    archive.set_area(area, max_studies=500, max_study_bytes=2**30, on_full="evict")
    others = [small(study=study) for study in range(10, 20)]
    archive.store(*others)
    here, there = small(study=1), small(study=2, SOPInstanceUID=small(study=1).SOPInstanceUID)

    archive.store(here, small(study=1, number=2))
    archive.store(there)
    archive.store(here)

    assert archive.counters(area)[:3] == (11, 11, 12)
    assert set(studies(archive)) == {each.StudyInstanceUID for each in (*others, here)}
    assert len(archive.files(area)) == 12 or archive.becomes_true(lambda: len(archive.paths(area)) == 12)


def test_D2_a_study_whose_uid_begins_like_that_of_an_evicted_one_stays(archive: Archive) -> None:
    archive.set_area(archive.title.area, max_studies=3, on_full="evict")

    for study in ("1.2.5.1", "1.2.5.10", "1.2.5.11", "1.2.6"):
        archive.store(small(StudyInstanceUID=study, SOPInstanceUID=f"{study}.9", SeriesInstanceUID=f"{study}.8"))

    assert set(studies(archive)) == {"1.2.5.10", "1.2.5.11", "1.2.6"}


def test_D3_a_lowered_limit_evicts_and_overwrites_nothing(archive: Archive) -> None:
    area = archive.title.area
    archive.set_area(area, max_studies=6, on_full="evict")
    archive.store(*(small(study=study) for study in range(6)))

    archive.service.run("area", "set", area, "--max-studies", "3")
    archive.store(small(study=6))

    assert set(studies(archive)) == {small(study=study).StudyInstanceUID for study in (4, 5, 6)}
    assert archive.counters(area)[:3] == (3, 3, 3)


def test_D4_a_move_into_its_own_area_ends_and_loses_nothing(archive: Archive, dcmtk: Dcmtk) -> None:
    held = [small(number=number) for number in range(4)]
    archive.store(*held)
    ourselves = archive.add_peer(archive.port, title=archive.title.name)

    keys = [f"{keyword}={value}" for keyword, value in study_of(held[0]).items()]
    ran = dcmtk.move(archive.port, ourselves, *keys, called=archive.title.name)

    assert ran.is_ok, ran
    assert archive.fetch(held[0].StudyInstanceUID) == {each.SOPInstanceUID: encoded(each) for each in held}


def test_D5_a_query_that_nobody_reads_on_blocks_no_store(archive: Archive) -> None:
    archive.set_area(archive.title.area, durability="relaxed")
    archive.store(small())
    archive.multiply(archive.title.area, 299)
    series = {"StudyInstanceUID": small().StudyInstanceUID, "SeriesInstanceUID": small().SeriesInstanceUID}
    everything = identifier(QueryRetrieveLevel="IMAGE", **series, SOPInstanceUID=None, PatientName=None)

    with archive.associate(Proposed(STUDY_ROOT_FIND), receive_buffer_bytes=4096) as slow:
        slow.ask(STUDY_ROOT_FIND, FIND_RQ, everything)
        assert slow.receive().status == 0xFF00

        archive.store(small(study=2))

        assert len(list(slow.responses())) == 300
        slow.release()


def test_D6_after_an_unknown_destination_the_association_holds_nothing_up(archive: Archive) -> None:
    archive.store(small())

    with archive.associate(Proposed(STUDY_ROOT_MOVE)) as scu:
        for _ in range(3):
            [refused] = scu.move(STUDY_ROOT_MOVE, identifier(**study_of(small())), "NOBODY")
            assert refused.status == 0xA801
            archive.store(small(study=2))
        scu.release()


def test_D7_idle_associations_end_by_themselves(start_own_archive: Any) -> None:
    archive = start_own_archive("--idle-timeout", "1", "--max-associations", "2")
    idle = [archive.associate(Proposed(VERIFICATION)) for _ in range(2)]

    assert all(scu.hears_end() is not None for scu in idle)

    assert archive.becomes_true(lambda: archive.associations() == 0)
    archive.echo()


@pytest.mark.parametrize("keyword", ["PatientComments", "AdditionalPatientHistory"])
def test_D8_comments_are_matched_and_answered(archive: Archive, keyword: str) -> None:
    archive.store(small(study=1, **{keyword: "allergic to iodine"}), small(patient=2, study=2))

    answers, final = find(
        archive, QueryRetrieveLevel="STUDY", StudyInstanceUID=None, **{keyword: "*iodine*", "PatientBirthDate": None}
    )

    assert final.status == 0
    assert [(answer.StudyInstanceUID, answer[keyword].value) for answer in answers] == [
        (small(study=1).StudyInstanceUID, "allergic to iodine")
    ]


def test_D9_a_query_of_unsupported_keys_only_matches_everything(archive: Archive) -> None:
    archive.store(small(study=1), small(study=2))

    answers, final = find(archive, QueryRetrieveLevel="STUDY", PregnancyStatus=None)

    assert final.status == 0
    assert len(answers) == 2


@pytest.mark.parametrize("level", ["STUDYX", "S" * 200, "STUDY\\SERIES", "IMAG"])
def test_D10_a_level_is_read_whole(archive: Archive, level: str) -> None:
    archive.store(small())
    element = level.encode() + b" " * (len(level) % 2)
    question = b"\x08\x00\x52\x00CS" + len(element).to_bytes(2, "little") + element + b"\x20\x00\x0d\x00UI\0\0"

    with archive.associate(Proposed(STUDY_ROOT_FIND)) as scu:
        responses = scu.find(STUDY_ROOT_FIND, question)
        scu.release()

    assert [each.status for each in responses] == [0xC000]


def test_D11_a_missing_unique_key_is_refused_by_find_move_and_get(archive: Archive) -> None:
    archive.store(small())
    keys = {"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": small().SeriesInstanceUID}

    with pynetdicom_scp() as destination:
        [moved] = move(archive, archive.add_peer(destination.port), **keys)
    with archive.associate(Proposed(STUDY_ROOT_GET), roles={}) as scu:
        got = scu.get(STUDY_ROOT_GET, identifier(**keys))

    assert find(archive, **keys)[1].status == 0xC000
    assert (moved.status, got.final.status) == (0xA900, 0xA900)


def test_D12_a_move_without_a_key_moves_nothing(archive: Archive) -> None:
    archive.store(small(study=1), small(study=2))
    with pynetdicom_scp() as destination:
        [response] = move(archive, archive.add_peer(destination.port), QueryRetrieveLevel="STUDY")

    assert response.status == 0xA900
    assert destination.received == []


def test_D13_an_instance_is_in_an_area_once_even_under_a_new_study(archive: Archive) -> None:
    first, again = small(study=1), small(study=2, SOPInstanceUID=small(study=1).SOPInstanceUID)

    archive.store(first, again)

    assert archive.rows(archive.title.area) == 1
    assert studies(archive) == [again.StudyInstanceUID]


@pytest.mark.parametrize("missing", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"])
def test_D14_an_instance_without_a_uid_is_refused(archive: Archive, missing: str) -> None:
    with archive.associate(Proposed(SECONDARY_CAPTURE)) as scu:
        content = encoded(small(**{missing: None}))
        response = scu.store(SECONDARY_CAPTURE, small().SOPInstanceUID, content, EXPLICIT)
        scu.release()

    assert response.status == 0xA900
    assert archive.rows(archive.title.area) == 0


def test_D15_a_rejection_says_which_title_is_not_recognized(archive: Archive) -> None:
    closed = archive.add_title(is_open=False)

    with pytest.raises(Rejected) as unknown_called:
        archive.associate(Proposed(VERIFICATION), title="NOWHERE")
    with pytest.raises(Rejected) as unknown_calling:
        archive.associate(Proposed(VERIFICATION), title=closed)

    assert unknown_called.value.why == (1, 1, 7)
    assert unknown_calling.value.why == (1, 1, 3)


def test_D16_a_title_for_writing_cannot_be_read(archive: Archive, dcmtk: Dcmtk) -> None:
    archive.store(small())
    write_only = archive.add_title("W", area=archive.title.area)

    _, answers = dcmtk.find(archive.port, "QueryRetrieveLevel=STUDY", "StudyInstanceUID", called=write_only.name)
    _, files = dcmtk.get(
        archive.port, *(f"{key}={value}" for key, value in study_of(small()).items()), called=write_only.name
    )

    assert (answers, files) == ([], [])
    archive.service.run("ae", "set", write_only.name, "--access", "X", code=2)


def test_D17_the_shutdown_class_ends_the_service_in_order_where_a_rule_allows_it(
    start_own_archive: Any, dcmtk: Dcmtk
) -> None:
    archive = start_own_archive()
    title = archive.title.name
    refused = dcmtk.run("termscu", "-aet", "ADMIN", "-aec", title, "127.0.0.1", archive.port)
    archive.echo()
    archive.change(
        lambda connection: changes.add_rule(
            connection, title, allows=True, calling_ae_title="ADMIN", operations=("shutdown",)
        )
    )

    dcmtk.run("termscu", "-aet", "ADMIN", "-aec", title, "127.0.0.1", archive.port)

    assert not refused.is_ok, refused
    assert archive.service.process.wait() == 0


def test_D18_an_association_too_many_is_rejected_and_not_first_accepted(start_own_archive: Any) -> None:
    archive = start_own_archive("--max-associations", "1")

    with archive.associate(Proposed(VERIFICATION)) as scu:
        with pytest.raises(Rejected) as rejected:
            archive.associate(Proposed(VERIFICATION))
        assert rejected.value.why == (2, 3, 2)
        assert scu.echo() == 0


def test_D19_instances_of_the_same_moment_have_files_of_their_own(archive: Archive) -> None:
    with archive.associate(Proposed(SECONDARY_CAPTURE)) as one, archive.associate(Proposed(SECONDARY_CAPTURE)) as other:
        for number in range(20):
            for study, scu in enumerate((one, other)):
                data_set = small(study=study, number=number)
                assert scu.store(SECONDARY_CAPTURE, data_set.SOPInstanceUID, encoded(data_set), EXPLICIT).status == 0

    contents = {data_set_bytes(path) for path in archive.files(archive.title.area)}
    assert contents == {encoded(small(study=study, number=number)) for number in range(20) for study in (0, 1)}


def test_D20_what_made_dcmqrscp_crash_is_answered(archive: Archive) -> None:
    signatures = b"\xfa\xff\xfa\xffOB\0\0\x04\0\0\0abcd"  # Digital Signatures Sequence (FFFA,FFFA) of the wrong VR
    data_set = small()
    with archive.associate(Proposed(SECONDARY_CAPTURE), Proposed(STUDY_ROOT_FIND)) as scu:
        stored = scu.store(SECONDARY_CAPTURE, data_set.SOPInstanceUID, encoded(data_set) + signatures, EXPLICIT)
        [refused] = scu.find(STUDY_ROOT_FIND, b"")
        scu.send_command(scu.context(SECONDARY_CAPTURE).context_id, {0x0100: 0x0001, 0x0800: 1})
        assert scu.hears_end() is not None, "a C-STORE-RQ without any UID ends the association"

    assert stored.status == 0
    assert refused.status == 0xA900
    archive.echo()


def test_D21_get_needs_a_find_beside_it_where_that_is_required(archive: Archive) -> None:
    archive.set_title(archive.title, requires_find=True)

    with archive.associate(Proposed(STUDY_ROOT_GET), Proposed(STUDY_ROOT_MOVE), Proposed(VERIFICATION)) as scu:
        scu.release()
    with archive.associate(Proposed(STUDY_ROOT_GET), Proposed(STUDY_ROOT_FIND)) as beside:
        beside.release()

    assert (scu.results[STUDY_ROOT_GET], scu.results[STUDY_ROOT_MOVE]) == ([1], [1])
    assert beside.results[STUDY_ROOT_GET] == [0]


@pytest.mark.parametrize("role", [(0, 1), (1, 1)], ids=["SCP", "SCU and SCP"])
def test_D22_a_title_for_reading_serves_get_whatever_role_is_asked_for(archive: Archive, role: tuple[int, int]) -> None:
    archive.store(small())
    read_only = archive.add_title("R", area=archive.title.area)

    contexts = (Proposed(STUDY_ROOT_GET), Proposed(SECONDARY_CAPTURE))
    with archive.associate(*contexts, title=read_only, roles={SECONDARY_CAPTURE: role}) as scu:
        got = scu.get(STUDY_ROOT_GET, identifier(**study_of(small())))
        scu.release()

    assert got.data_sets == {small().SOPInstanceUID: encoded(small())}


def test_D23_a_cancelled_get_says_so_even_if_something_failed(archive: Archive) -> None:
    archive.store(*(small(number=number) for number in range(10)))
    contexts = (Proposed(STUDY_ROOT_GET), Proposed(SECONDARY_CAPTURE))

    with archive.associate(*contexts, roles={SECONDARY_CAPTURE: (0, 1)}) as scu:
        got = scu.get(STUDY_ROOT_GET, identifier(**study_of(small())), cancel_after=2, status=0xA700)
        scu.release()

    assert got.final.status == 0xFE00
    remaining, completed, failed, _ = got.final.counters
    assert (completed, failed) == (0, len(got.requests))
    assert remaining == 10 - len(got.requests)


def test_D24_a_file_that_a_crash_left_without_a_row_is_found_and_cleared_away(archive: Archive) -> None:
    area = archive.title.area
    archive.store(small())
    [kept] = archive.files(area)
    orphan = kept.with_name(f"{'0' * len(kept.stem)}.dcm")  # a name that the archive gives; others it lets be
    orphan.write_bytes(kept.read_bytes())

    archive.service.run("check", "reconcile", "--area", area, "--delete", "--older-than", "0")

    assert archive.paths(area) == [kept]


def test_D25_a_file_that_was_taken_away_is_told_by_check_verify(archive: Archive) -> None:
    area = archive.title.area
    archive.store(small(number=1), small(number=2))
    gone = archive.files(area)[0]
    gone.unlink()

    told = archive.service.run("check", "verify", "--area", area, code=1)

    assert str(gone.relative_to(archive.service.data / "areas" / area)) in told


def test_D26_issuers_tell_patients_apart_and_a_study_is_answered_once(archive: Archive) -> None:
    archive.store(
        small(study=1, PatientID="7", IssuerOfPatientID="NORTH"),
        small(study=2, PatientID="7", IssuerOfPatientID="SOUTH"),
        small(study=2, number=2, PatientID="8", IssuerOfPatientID="SOUTH"),
    )

    patients, _ = find(archive, PATIENT_ROOT_FIND, QueryRetrieveLevel="PATIENT", PatientID="7", IssuerOfPatientID=None)

    assert sorted(answer.IssuerOfPatientID for answer in patients) == ["NORTH", "SOUTH"]
    assert sorted(studies(archive)) == sorted(small(study=study).StudyInstanceUID for study in (1, 2))


def test_D27_compressed_instances_come_back_without_any_option(
    archive: Archive, dcmtk: Dcmtk, storescp: Receiver
) -> None:
    path = BUNDLED_FOLDER / "SC_rgb_jpeg_dcmtk.dcm"
    archive.store_file(path)
    held = dcmread(path, stop_before_pixels=True)
    assert held.file_meta.TransferSyntaxUID == JPEGBaseline8Bit

    keys = [f"{keyword}={value}" for keyword, value in study_of(held).items()]
    ran = dcmtk.move(archive.port, archive.add_peer(storescp.port), *keys, called=archive.title.name)

    assert ran.is_ok, ran
    assert [data_set_bytes(each) for each in storescp.files()] == [data_set_bytes(path)]


def test_D28_the_same_host_is_the_same_however_it_is_written(archive: Archive) -> None:
    archive.store(small())
    archive.set_title(archive.title, moves_to_same_host=True)
    with pynetdicom_scp() as destination:
        here = archive.add_peer(destination.port, host="LocalHost")
        elsewhere = archive.add_peer(destination.port, host="192.0.2.1")

        [*_, moved] = move(archive, here, **study_of(small()))
        [refused] = move(archive, elsewhere, **study_of(small()))

    assert (moved.status, refused.status) == (0, 0xA801)


def test_D29_clients_as_installed_need_not_wait_for_acknowledgements(
    archive: Archive, dcmtk: Dcmtk, files_of: Any
) -> None:
    paths: list[Path] = files_of(*(small(number=number) for number in range(50)))

    def seconds() -> float:
        started = time.monotonic()
        ran = dcmtk.store(archive.port, *paths, called=archive.title.name)
        assert ran.is_ok, ran
        return time.monotonic() - started

    # Nagle's algorithm against delayed acknowledgements: 44 to 88 ms for each store, so never less than 2 s; without
    # them it takes that long only while the machine has other things to do.
    assert any(seconds() < 1.7 for _ in range(50))
