"""What dcmqrscp cannot hold or do by its design, and this archive can: a test for each of its limits L1 to L10."""

from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import UID
from sqlalchemy import event, text

from archive.dicom import uids
from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import instance
from tests.wire.raw_messages import STUDY_ROOT_FIND, STUDY_ROOT_MOVE, VERIFICATION, Proposed
from tests.wire.receivers import pynetdicom_scp
from tests.wire.running import Archive, identifier

GIB = 2**30


def small(**keywords: Any):
    """An instance without pixels."""
    return instance(side_pixels=0, **keywords)


def held_studies(archive: Archive) -> set[str]:
    """What a C-FIND says the archive holds."""
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=None)
    with archive.associate(Proposed(STUDY_ROOT_FIND)) as scu:
        *answers, final = scu.find(STUDY_ROOT_FIND, keys)
        scu.release()
    assert final.status == 0
    return {uid for answer in answers for uid in _study_uid(answer.data_set or b"")}


def _study_uid(data_set: bytes) -> list[str]:
    at = data_set.index(b"\x20\x00\x0d\x00UI") + 8
    length = int.from_bytes(data_set[at - 2 : at], "little")
    return [data_set[at : at + length].rstrip(b"\0").decode()]


def test_L1_an_area_holds_more_than_500_studies(archive: Archive) -> None:
    archive.set_area(archive.title.area, durability="relaxed")

    archive.store(*(small(study=study) for study in range(505)))

    assert len(held_studies(archive)) == 505
    assert archive.counters(archive.title.area)[0] == 505


def test_L2_an_area_that_is_exactly_full_takes_the_next_study(archive: Archive) -> None:
    archive.set_area(archive.title.area, max_studies=5, on_full="evict")

    archive.store(*(small(study=study) for study in range(5)))
    assert len(held_studies(archive)) == 5
    archive.store(*(small(study=study) for study in range(5, 7)))

    assert held_studies(archive) == {small(study=study).StudyInstanceUID for study in range(2, 7)}
    assert archive.counters(archive.title.area)[:3] == (5, 5, 5)


def test_L3_a_study_grows_past_one_and_four_gibibytes(archive: Archive) -> None:
    archive.store(small(number=1))
    area = archive.title.area
    before = archive.counters(area)[3]

    def grow(connection: Any) -> None:
        of_area = "WHERE area_pk = (SELECT pk FROM storage_areas WHERE name = :area)"
        for table in ("study_usage", "series", "area_usage"):
            more = f"UPDATE {table} SET size_bytes = size_bytes + {5 * GIB} {of_area} AND size_bytes > 0"
            connection.execute(text(more), {"area": area})

    archive.change(grow)
    archive.set_area(area, max_study_bytes=6 * GIB)
    archive.store(small(number=2))

    assert archive.counters(area)[2] == 2
    assert archive.counters(area)[3] > before + 5 * GIB


def test_L4_a_store_asks_the_same_few_questions_whatever_the_area_holds(founded: Any) -> None:
    """That each of them is answered by an index is held by tests/sql/test_plans.py."""
    asked: list[str] = []

    def questions(study: int) -> int:
        asked.clear()
        founded.store(small(study=study), is_filed=False)
        return len(asked)

    founded.store(*(small(study=0, number=number) for number in range(3)), is_filed=False)
    event.listen(founded.database.engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    first = questions(1)
    founded.store(*(small(study=study) for study in range(2, 200)), is_filed=False)

    assert 0 < first == questions(200)


def test_L5_a_study_of_more_than_10_000_instances_gives_up_its_oldest(archive: Archive) -> None:
    area = archive.title.area
    archive.set_area(area, durability="relaxed", on_full="evict")
    archive.store(small(number=0))
    size_bytes = archive.counters(area)[3]
    archive.multiply(area, 10_000)

    archive.set_area(area, max_study_bytes=archive.counters(area)[3])
    archive.store(small(number=1), small(number=2))

    assert archive.counters(area)[1:3] == (1, 10_001)
    assert archive.counters(area)[3] <= 10_001 * size_bytes + 64


def test_L6_files_are_spread_over_folders_and_a_long_path_is_no_limit(archive: Archive) -> None:
    deep = archive.service.data / "areas" / "/".join(f"{level}{'x' * 60}" for level in range(5))
    title = archive.add_title(folder=str(deep))

    archive.store(*(small(number=number) for number in range(40)), title=title)

    assert archive.becomes_true(lambda: sum(path.is_file() for path in deep.rglob("*")) == 40)
    folders = {path.parent for path in deep.rglob("*") if path.is_file()}
    assert all(len(folder.relative_to(deep).parts) == 4 for folder in folders), "not by year, month, day and minute"
    assert min(len(str(folder)) for folder in folders) > 256
    assert len(archive.fetch(small().StudyInstanceUID, title=title)) == 40


@pytest.mark.parametrize("served_on", ["sqlite"], scope="session")  # nothing of it is the database's business
def test_L7_a_move_of_more_than_65535_instances_says_the_most_that_a_counter_can(archive: Archive) -> None:
    area = archive.title.area
    archive.store(small(number=0))
    archive.multiply(area, 65_600)
    with pynetdicom_scp() as destination:
        peer = archive.add_peer(destination.port)
        keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=small().StudyInstanceUID)

        with archive.associate(Proposed(STUDY_ROOT_MOVE)) as scu:
            responses = scu.move(STUDY_ROOT_MOVE, keys, peer)
            scu.release()

    assert responses[-1].status == 0xB000
    assert responses[-1].counters == (None, 1, 65_535, 0)
    remaining = [each.counters[0] or 0 for each in responses[:-1]]
    assert remaining == sorted(remaining, reverse=True), "a counter went round"
    assert remaining[0] == 65_535
    assert [each.sop_instance_uid for each in destination.received] == [small(number=0).SOPInstanceUID]


def test_L8_instances_of_every_storage_class_are_moved(archive: Archive) -> None:
    archive.set_area(archive.title.area, durability="relaxed")
    classes = sorted(uids.STORAGE_SOP_CLASSES)
    held = [small(number=number, SOPClassUID=UID(sop_class)) for number, sop_class in enumerate(classes)]
    for first in range(0, len(held), 100):
        archive.store(*held[first : first + 100])
    elsewhere = archive.add_title(durability="relaxed")
    archive.add_peer(archive.port, title=elsewhere.name)

    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=held[0].StudyInstanceUID)
    with archive.associate(Proposed(STUDY_ROOT_MOVE)) as scu:
        responses = scu.move(STUDY_ROOT_MOVE, keys, elsewhere.name)
        scu.release()

    assert len(classes) > 120
    assert (responses[-1].status, responses[-1].counters) == (0, (None, len(classes), 0, 0))
    assert archive.counters(elsewhere.area)[2] == len(classes)


def test_L9_associations_share_the_worker_processes(archive: Archive) -> None:
    before = archive.workers()
    open_ones = [archive.associate(Proposed(VERIFICATION)) for _ in range(40)]
    try:
        assert all(scu.echo() == 0 for scu in open_ones)
        assert archive.workers() == before
    finally:
        for scu in open_ones:
            scu.release()


def test_L10_studies_of_the_same_second_go_in_the_order_they_were_stored_to(
    archive: Archive, dcmtk: Dcmtk, files_of: Any
) -> None:
    archive.set_area(archive.title.area, max_studies=3, on_full="evict")
    archive.store(*(small(study=study) for study in (1, 2, 3)))
    archive.store(small(study=1, number=2))

    paths: list[Path] = files_of(small(study=4))
    assert dcmtk.store(archive.port, *paths, called=archive.title.name).is_ok

    assert held_studies(archive) == {small(study=study).StudyInstanceUID for study in (1, 3, 4)}
    assert archive.rows(archive.title.area) == 4
