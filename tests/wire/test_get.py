"""C-GET by getscu, pynetdicom and raw requests: what comes, in which form, and how it is counted."""

from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import BUNDLED_FOLDER, ct, data_set_bytes, encoded, instance
from tests.wire.raw_messages import (
    BIG_ENDIAN,
    CT_IMAGE,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    PATIENT_ROOT_GET,
    SECONDARY_CAPTURE,
    STUDY_ROOT_GET,
    Proposed,
)
from tests.wire.raw_scu import Got
from tests.wire.running import Archive, identifier
from tests.wire.same_content import same_content

BOTH = {SECONDARY_CAPTURE: (0, 1), CT_IMAGE: (0, 1)}


def get(
    archive: Archive,
    *contexts: Proposed,
    model: str = STUDY_ROOT_GET,
    roles: dict[str, tuple[int, int]] | None = None,
    status: int = 0,
    cancel_after: int | None = None,
    **keys: Any,
) -> Got:
    """One C-GET with an identifier of these keys."""
    stored = contexts or (Proposed(SECONDARY_CAPTURE), Proposed(CT_IMAGE))
    with archive.associate(Proposed(model), *stored, roles=BOTH if roles is None else roles) as scu:
        got = scu.get(model, identifier(**keys), status=status, cancel_after=cancel_after)
        scu.release()
    return got


def study_of(data_set: FileDataset) -> dict[str, Any]:
    return {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": data_set.StudyInstanceUID}


def test_getscu_fetches_a_study_byte_for_byte(archive: Archive, dcmtk: Dcmtk) -> None:
    data_sets = [ct(number=number, side_pixels=64) for number in range(5)]
    archive.store(*data_sets)

    keys = [f"{keyword}={value}" for keyword, value in study_of(data_sets[0]).items()]
    ran, fetched = dcmtk.get(archive.port, *keys, called=archive.title.name)

    assert ran.is_ok, ran
    assert {data_set_bytes(path) for path in fetched} == set(map(encoded, data_sets))


def test_counters_of_every_response(archive: Archive) -> None:
    archive.store(*(instance(number=number) for number in range(3)))

    got = get(archive, **study_of(instance()))

    assert [each.status for each in got.responses] == [0xFF00, 0xFF00, 0xFF00, 0x0000]
    assert [each.counters for each in got.responses] == [(2, 1, 0, 0), (1, 2, 0, 0), (0, 3, 0, 0), (None, 3, 0, 0)]
    assert all(each.data_set is None for each in got.responses)


@pytest.mark.parametrize("level", ["PATIENT", "STUDY", "SERIES", "IMAGE"])
def test_every_level_fetches_what_lies_below(archive: Archive, level: str) -> None:
    data_sets = [instance(study=1), instance(study=1, number=2), instance(study=1, series=2), instance(study=2)]
    archive.store(*data_sets, instance(patient=2))
    first = data_sets[0]
    keys = {
        "PatientID": first.PatientID,
        "StudyInstanceUID": first.StudyInstanceUID,
        "SeriesInstanceUID": first.SeriesInstanceUID,
        "SOPInstanceUID": first.SOPInstanceUID,
    }
    depth = ["PATIENT", "STUDY", "SERIES", "IMAGE"].index(level) + 1

    got = get(archive, model=PATIENT_ROOT_GET, QueryRetrieveLevel=level, **dict(list(keys.items())[:depth]))

    assert got.final.status == 0
    assert len(got.data_sets) == {"PATIENT": 4, "STUDY": 3, "SERIES": 2, "IMAGE": 1}[level]


def test_several_studies_by_a_list_of_uids(archive: Archive) -> None:
    archive.store(*(instance(study=study) for study in (1, 2, 3)))
    wanted = [instance(study=study).StudyInstanceUID for study in (1, 3)]

    got = get(archive, QueryRetrieveLevel="STUDY", StudyInstanceUID=[*wanted, "1.2.3"])

    assert set(got.data_sets) == {instance(study=study).SOPInstanceUID for study in (1, 3)}


def test_nothing_that_matches_is_success_without_counts(archive: Archive) -> None:
    got = get(archive, QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3")

    assert [each.status for each in got.responses] == [0]
    assert got.final.counters == (None, 0, 0, 0)


@pytest.mark.parametrize(
    "keys, status",
    [
        pytest.param({"QueryRetrieveLevel": "STUDY"}, 0xA900, id="no key at all"),
        pytest.param({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": None}, 0xA900, id="empty key"),
        pytest.param({"QueryRetrieveLevel": "STUDY", "PatientName": "Syn*"}, 0xA900, id="no unique key"),
        pytest.param({"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": "1.2"}, 0xA900, id="no study UID"),
        pytest.param({"StudyInstanceUID": "1.2"}, 0xA900, id="no level"),
        pytest.param({"QueryRetrieveLevel": "FRAME", "StudyInstanceUID": "1.2"}, 0xC000, id="unknown level"),
    ],
)
def test_an_identifier_that_makes_no_sense_fetches_nothing(archive: Archive, keys: dict[str, Any], status: int) -> None:
    archive.store(instance())

    got = get(archive, **keys)

    assert [each.status for each in got.responses] == [status]
    assert got.final.comment
    assert got.data_sets == {}


def test_a_wild_card_as_patient_id_alone_fetches_nothing(archive: Archive) -> None:
    archive.store(instance())

    got = get(archive, model=PATIENT_ROOT_GET, QueryRetrieveLevel="PATIENT", PatientID="*")

    assert got.final.status == 0xA900
    assert got.data_sets == {}


# Failures and warnings.


def test_an_instance_without_a_context_fails_alone(archive: Archive) -> None:
    archive.store(instance(number=1), ct(number=2, side_pixels=16))

    got = get(archive, Proposed(SECONDARY_CAPTURE), roles={SECONDARY_CAPTURE: (0, 1)}, **study_of(instance()))

    assert set(got.data_sets) == {instance(number=1).SOPInstanceUID}
    assert got.final.status == 0xB000
    assert got.final.counters == (None, 1, 1, 0)
    assert ct(number=2).SOPInstanceUID.encode() in (got.final.data_set or b"")


def test_without_the_scp_role_nothing_can_be_fetched(archive: Archive) -> None:
    archive.store(instance())

    got = get(archive, Proposed(SECONDARY_CAPTURE), roles={}, **study_of(instance()))

    assert got.final.status == 0xA702
    assert got.final.counters == (None, 0, 1, 0)
    assert instance().SOPInstanceUID.encode() in (got.final.data_set or b"")


@pytest.mark.parametrize(
    "status, final, counters",
    [
        pytest.param(0xB000, 0xB000, (None, 0, 0, 2), id="warning"),
        pytest.param(0xA700, 0xA702, (None, 0, 2, 0), id="failure"),
        pytest.param(0x0124, 0xA702, (None, 0, 2, 0), id="not authorized"),
    ],
)
def test_what_the_peer_answers_is_counted(
    archive: Archive, status: int, final: int, counters: tuple[int | None, ...]
) -> None:
    archive.store(instance(number=1), instance(number=2))

    got = get(archive, status=status, **study_of(instance()))

    assert len(got.requests) == 2
    assert got.final.status == final
    assert got.final.counters == counters
    assert (got.final.data_set is not None) is (counters[2] != 0)


def test_a_file_that_is_gone_fails_alone(archive: Archive) -> None:
    archive.store(instance(number=1), instance(number=2))
    content = {path: data_set_bytes(path) for path in archive.files(archive.title.area)}
    gone = next(path for path, data_set in content.items() if data_set == encoded(instance(number=2)))
    gone.unlink()

    got = get(archive, **study_of(instance()))

    assert got.data_sets == {instance(number=1).SOPInstanceUID: encoded(instance(number=1))}
    assert got.final.status == 0xB000
    assert got.final.counters == (None, 1, 1, 0)


def test_a_cancel_ends_it_with_what_remains(archive: Archive) -> None:
    archive.store(*(instance(number=number) for number in range(10)))

    got = get(archive, cancel_after=3, **study_of(instance()))

    assert got.final.status == 0xFE00
    remaining, completed, failed, warning = got.final.counters
    assert (completed, failed, warning) == (len(got.requests), 0, 0)
    assert remaining == 10 - len(got.requests)
    assert len(got.requests) <= 4


# Transfer syntaxes.

PLAIN = {
    IMPLICIT: ImplicitVRLittleEndian,
    EXPLICIT: ExplicitVRLittleEndian,
    BIG_ENDIAN: ExplicitVRBigEndian,
    DEFLATED: DeflatedExplicitVRLittleEndian,
}


@pytest.mark.parametrize("held", PLAIN, ids=lambda syntax: PLAIN[syntax].name)
def test_each_plain_transfer_syntax_is_converted_to_each_other(archive: Archive, held: str) -> None:
    data_set = instance(transfer_syntax=held)
    archive.store(data_set)

    for wanted in PLAIN:
        contexts = (Proposed(SECONDARY_CAPTURE, (wanted,)),)
        got = get(archive, *contexts, roles={SECONDARY_CAPTURE: (0, 1)}, **study_of(data_set))

        assert got.final.status == 0, (held, wanted, got.final.comment)
        (content,) = got.data_sets.values()
        if wanted == held:
            assert content == encoded(data_set)
        else:
            same_content(content, wanted, encoded(data_set), held)


def test_stored_transfer_syntax_is_preferred_where_the_peer_accepts_it(archive: Archive) -> None:
    data_set = instance(transfer_syntax=ImplicitVRLittleEndian)
    archive.store(data_set)
    contexts = [Proposed(SECONDARY_CAPTURE, (syntax,)) for syntax in (EXPLICIT, BIG_ENDIAN, IMPLICIT)]

    got = get(archive, *contexts, roles={SECONDARY_CAPTURE: (0, 1)}, **study_of(data_set))

    assert list(got.data_sets.values()) == [encoded(data_set)]


def test_compressed_for_an_uncompressed_peer_fails_alone(archive: Archive) -> None:
    compressed = BUNDLED_FOLDER / "MR_small_RLE.dcm"
    held = dcmread(compressed, stop_before_pixels=True)
    mr = str(held.SOPClassUID)
    plain = instance(SOPClassUID=mr)
    archive.store_file(compressed)
    archive.store(plain)

    got = get(
        archive,
        Proposed(mr, (EXPLICIT, IMPLICIT)),
        roles={mr: (0, 1)},
        QueryRetrieveLevel="STUDY",
        StudyInstanceUID=[held.StudyInstanceUID, plain.StudyInstanceUID],
    )

    assert got.final.status == 0xB000
    assert got.final.counters == (None, 1, 1, 0)
    assert got.data_sets == {plain.SOPInstanceUID: encoded(plain)}
    assert held.SOPInstanceUID.encode() in (got.final.data_set or b"")


def test_compressed_goes_out_as_it_was_received(archive: Archive) -> None:
    path = BUNDLED_FOLDER / "JPEG2000.dcm"
    archive.store_file(path)
    held = dcmread(path, stop_before_pixels=True)
    sop_class = str(held.SOPClassUID)
    contexts = (Proposed(sop_class, (EXPLICIT,)), Proposed(sop_class, (str(held.file_meta.TransferSyntaxUID),)))

    got = get(archive, *contexts, roles={sop_class: (0, 1)}, **study_of(held))

    assert list(got.data_sets.values()) == [data_set_bytes(path)]


def test_large_instance_is_fetched_whole(archive: Archive) -> None:
    data_set = instance(side_pixels=16)
    data_set.PixelData = bytes(range(256)) * 200_000
    archive.store(data_set)

    got = get(archive, **study_of(data_set))

    assert list(got.data_sets.values()) == [encoded(data_set)]


def test_converted_large_instance_is_fetched_whole(archive: Archive) -> None:
    data_set = instance(side_pixels=16)
    data_set.PixelData = bytes(range(256)) * 100_000  # above what is converted before the first byte goes out
    archive.store(data_set)

    got = get(
        archive, Proposed(SECONDARY_CAPTURE, (IMPLICIT,)), roles={SECONDARY_CAPTURE: (0, 1)}, **study_of(data_set)
    )

    same_content(next(iter(got.data_sets.values())), IMPLICIT, encoded(data_set), EXPLICIT)


def test_an_empty_folder_is_left_by_a_getscu_that_may_not_read(archive: Archive, dcmtk: Dcmtk, tmp_path: Path) -> None:
    archive.store(instance())
    closed = archive.add_title("W", area=archive.title.area)
    keys = [f"{keyword}={value}" for keyword, value in study_of(instance()).items()]

    ran, fetched = dcmtk.get(archive.port, *keys, called=closed.name)

    assert fetched == []
    assert "No presentation context" in ran.output or not ran.is_ok, ran
