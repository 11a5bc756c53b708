"""C-STORE by real clients and by bytes no client would send: what is kept, and what is answered to the rest."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import ct, data_set_bytes, encoded, instance, write
from tests.wire.raw_messages import (
    CT_IMAGE,
    LAST_COMMAND,
    LAST_DATA,
    SECONDARY_CAPTURE,
    STUDY_ROOT_GET,
    Proposed,
    command_set,
    pdu,
    pdv,
)
from tests.wire.running import Archive, identifier
from tests.wire.storing import store, stored

PLAIN = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)

Files = Callable[..., list[Path]]


# What real clients send is kept as it was sent.


@pytest.mark.parametrize("program", ["storescu", "dcmsend"])
def test_dcmtk_stores_several_instances(archive: Archive, dcmtk: Dcmtk, files_of: Files, program: str) -> None:
    files = files_of(*(instance(number=number) for number in range(5)), ct(series=2, side_pixels=64))
    options = ("-R",) if program == "storescu" else ()

    ran = dcmtk.run(program, "-v", *options, "-aec", archive.title, "127.0.0.1", archive.port, *files)

    assert ran.is_ok, ran
    assert (
        ran.output.count("Received C-STORE Response (Success)") + ran.output.count("Received Store Response (Success)")
        == 6
    )
    assert {data_set_bytes(path) for path in archive.files(archive.title.area)} == set(map(data_set_bytes, files))
    assert archive.counters(archive.title.area)[:3] == (1, 2, 6)


@pytest.mark.parametrize("syntax", PLAIN, ids=lambda syntax: syntax.name)
def test_every_plain_transfer_syntax_is_kept_as_sent(archive: Archive, syntax: str) -> None:
    data_set = instance(transfer_syntax=syntax)

    archive.store(data_set)

    assert stored(archive, data_set) == encoded(data_set)


def test_file_meta_information_is_ours(archive: Archive, dcmtk: Dcmtk, files_of: Files) -> None:
    data_set = instance()
    (file,) = files_of(data_set)

    dcmtk.run("storescu", "-aet", "MODALITY", "-aec", archive.title, "127.0.0.1", archive.port, file)

    (kept,) = archive.files(archive.title.area)
    meta = pydicom.dcmread(kept, stop_before_pixels=True).file_meta
    assert meta.MediaStorageSOPClassUID == data_set.SOPClassUID
    assert meta.MediaStorageSOPInstanceUID == data_set.SOPInstanceUID
    assert meta.SourceApplicationEntityTitle == "MODALITY"
    assert meta.ImplementationClassUID.startswith("2.25.")
    assert meta.ImplementationVersionName


@pytest.mark.parametrize(
    "pdv_bytes, pdvs_in_pdu",
    [
        pytest.param(1, 1, id="a byte in each PDU"),
        pytest.param(2, 500, id="hundreds of PDVs in a PDU"),
        pytest.param(7, 3, id="odd fragments"),
        pytest.param(131060, 1, id="largest PDU"),
    ],
)
def test_any_fragmentation_of_a_data_set_is_put_together(archive: Archive, pdv_bytes: int, pdvs_in_pdu: int) -> None:
    data_set = instance(side_pixels=48)
    with archive.associate(Proposed(SECONDARY_CAPTURE)) as scu:
        response = store(scu, data_set, pdv_bytes=pdv_bytes, pdvs_in_pdu=pdvs_in_pdu)
        scu.release()

    assert response.status == 0
    assert stored(archive, data_set) == encoded(data_set)


def test_command_and_data_set_may_share_a_pdu_with_the_next_command(archive: Archive) -> None:
    first, second = instance(number=1), instance(number=2)
    with archive.associate(Proposed(SECONDARY_CAPTURE)) as scu:
        items = b""
        for message_id, each in enumerate((first, second), start=1):
            command = {0x0002: SECONDARY_CAPTURE, 0x0100: 1, 0x0110: message_id, 0x0700: 0, 0x0800: 1}
            items += pdv(1, LAST_COMMAND, command_set(command | {0x1000: str(each.SOPInstanceUID)}))
            items += pdv(1, LAST_DATA, encoded(each))
        scu.says(pdu(0x04, items))

        answers = [scu.receive() for _ in range(2)]

    assert [answer.status for answer in answers] == [0, 0]
    assert [answer.number(0x0120) for answer in answers] == [1, 2]


@pytest.mark.parametrize("max_pdu_bytes", [0, 4096, 1_000_000])
def test_any_maximum_length_of_the_peer_is_kept(archive: Archive, max_pdu_bytes: int) -> None:
    data_set = ct(side_pixels=256)
    archive.store(data_set)
    proposed = (Proposed(STUDY_ROOT_GET), Proposed(CT_IMAGE))
    with archive.associate(*proposed, max_pdu_bytes=max_pdu_bytes, roles={CT_IMAGE: (0, 1)}) as scu:
        got = scu.get(
            STUDY_ROOT_GET, identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=data_set.StudyInstanceUID)
        )
        scu.release()

    assert got.data_sets == {data_set.SOPInstanceUID: encoded(data_set)}
    assert scu.largest_pdu_bytes <= (max_pdu_bytes or scu.largest_pdu_bytes)
    if max_pdu_bytes == 4096:
        assert scu.largest_pdu_bytes > 4000


def test_header_of_more_than_64_kib_is_read_whole(archive: Archive) -> None:
    data_set = instance()
    for group in range(0x6000, 0x6010, 2):  # before the pixels, after everything that is indexed
        data_set.add_new((group, 0x3000), "OW", bytes(20_000))
    data_set.add_new((0x0009, 0x0010), "LO", "TESTS")  # before what is indexed
    data_set.add_new((0x0009, 0x1001), "OB", bytes(200_000))

    archive.store(data_set)

    assert stored(archive, data_set) == encoded(data_set)


def test_an_instance_of_sixty_megabytes_is_kept(archive: Archive) -> None:
    data_set = instance(side_pixels=64)
    data_set.PixelData = bytes(60_000_000)
    with archive.associate(Proposed(SECONDARY_CAPTURE)) as scu:
        response = store(scu, data_set, pdv_bytes=131060)
        scu.release()

    assert response.status == 0
    (file,) = archive.files(archive.title.area)
    assert file.stat().st_size > 60_000_000


# What is not known is kept where the area allows it.


@pytest.mark.parametrize(
    "sop_class", ["1.2.840.10008.5.1.4.1.1.999999", "1.3.6.1.4.1.99999.1.7"], ids=["unknown standard", "private"]
)
def test_unknown_sop_class_is_kept_where_the_area_takes_it(archive: Archive, sop_class: str) -> None:
    data_set = instance(SOPClassUID=sop_class)

    archive.store(data_set)

    assert archive.fetch(data_set.StudyInstanceUID, Proposed(sop_class)) == {data_set.SOPInstanceUID: encoded(data_set)}


def test_unknown_sop_class_is_not_negotiated_where_the_area_takes_none(archive: Archive) -> None:
    archive.set_area(archive.title.area, accept_unknown_sop_classes=False)

    with archive.associate(Proposed("1.3.6.1.4.1.99999.1.7"), Proposed(SECONDARY_CAPTURE)) as scu:
        assert scu.results == {"1.3.6.1.4.1.99999.1.7": [3], SECONDARY_CAPTURE: [0]}


# Duplicates, and instances that move.


@pytest.mark.parametrize(
    "policy, status, kept", [("replace", 0x0000, "second"), ("keep", 0x0000, "first"), ("reject", 0x0111, "first")]
)
def test_duplicates_follow_the_policy_of_the_area(archive: Archive, policy: str, status: int, kept: str) -> None:
    archive.set_area(archive.title.area, duplicates=policy)
    versions = {"first": instance(ImageComments="first"), "second": instance(ImageComments="second version")}
    archive.store(versions["first"])
    with archive.associate(Proposed(SECONDARY_CAPTURE)) as scu:
        response = store(scu, versions["second"])
        scu.release()

    expected = encoded(versions[kept])
    assert response.status == status
    assert archive.fetch(versions["first"].StudyInstanceUID) == {versions["first"].SOPInstanceUID: expected}
    studies, series, instances, size_bytes = archive.counters(archive.title.area)
    assert (studies, series, instances) == (1, 1, 1)
    assert len(expected) < size_bytes < len(expected) + 1000


def test_an_instance_sent_again_under_another_study_moves_there(archive: Archive) -> None:
    first = instance(study=1, number=1)
    moved = instance(study=2, number=1, SOPInstanceUID=first.SOPInstanceUID)

    archive.store(first, instance(study=1, number=2))
    archive.store(moved)

    assert archive.fetch(moved.StudyInstanceUID) == {first.SOPInstanceUID: encoded(moved)}
    assert set(archive.fetch(first.StudyInstanceUID)) == {instance(study=1, number=2).SOPInstanceUID}
    assert archive.counters(archive.title.area)[:3] == (2, 2, 2)


def test_a_study_whose_last_instance_moved_away_is_gone(archive: Archive) -> None:
    first = instance(study=1)
    archive.store(first)

    archive.store(instance(study=2, SOPInstanceUID=first.SOPInstanceUID))
    archive.store(first)  # and back again: three stores that wipe an area of dcmqrscp

    assert archive.fetch(first.StudyInstanceUID) == {first.SOPInstanceUID: encoded(first)}
    assert archive.counters(archive.title.area)[:3] == (1, 1, 1)
    assert archive.rows(archive.title.area, "studies") == 1


def test_the_same_instance_from_many_senders_at_once_is_there_once(archive: Archive) -> None:
    versions = [instance(ImageComments=f"version {number}") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(archive.store, versions))

    (fetched,) = archive.fetch(versions[0].StudyInstanceUID).values()
    assert fetched in [encoded(each) for each in versions]
    assert archive.counters(archive.title.area)[:3] == (1, 1, 1)


def test_first_instances_of_one_patient_from_many_senders_at_once_all_succeed(archive: Archive) -> None:
    def send(sender: int) -> None:
        archive.store(*(instance(study=number % 2, series=sender, number=number) for number in range(10)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(8)))

    assert archive.counters(archive.title.area)[:3] == (2, 16, 80)
    assert archive.rows(archive.title.area, "patients") == 1


def test_an_instance_that_disagrees_with_its_study_is_kept_and_reported(archive: Archive) -> None:
    archive.store(instance(number=1, StudyDescription="As first told"))

    archive.store(instance(number=2, StudyDescription="As told later"))

    assert archive.counters(archive.title.area)[:3] == (1, 1, 2)
    assert archive.rows(archive.title.area, "disagreements") == 1


def test_data_set_that_says_nothing_of_the_patient_is_kept(archive: Archive) -> None:
    data_set = Dataset()
    data_set.SOPClassUID, data_set.SOPInstanceUID = SECONDARY_CAPTURE, "1.2.3.1"
    data_set.StudyInstanceUID, data_set.SeriesInstanceUID = "1.2.3.2", "1.2.3.3"
    bare = instance()
    bare.clear()
    bare.update(data_set)

    archive.store(bare)

    assert archive.fetch("1.2.3.2") == {"1.2.3.1": encoded(bare)}


def test_files_written_by_dcmtk_come_back_by_dcmtk(archive: Archive, dcmtk: Dcmtk, tmp_path: Path) -> None:
    data_set = ct(side_pixels=128)
    file = write(data_set, tmp_path)
    assert dcmtk.store(archive.port, file, called=archive.title.name).is_ok

    ran, fetched = dcmtk.get(
        archive.port,
        "QueryRetrieveLevel=STUDY",
        f"StudyInstanceUID={data_set.StudyInstanceUID}",
        called=archive.title.name,
    )

    assert ran.is_ok, ran
    assert [data_set_bytes(path) for path in fetched] == [encoded(data_set)]
