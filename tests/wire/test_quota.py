"""Quotas under real senders."""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydicom.dataset import FileDataset
from sqlalchemy import text

from archive.database import transaction
from archive.index.tables import evictions, studies
from scripts.background import descendants
from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import instance
from tests.sql.fix_holdings import Shelf
from tests.wire.running import Archive, Title

SENDERS = 4


def written(folder: Path, *data_sets: FileDataset) -> list[Path]:
    """Files of these instances, to be sent."""
    folder.mkdir(parents=True)
    paths = [folder / f"{number:03}.dcm" for number in range(len(data_sets))]
    for path, data_set in zip(paths, data_sets, strict=True):
        data_set.save_as(path, enforce_file_format=True)
    return paths


def send_at_once(dcmtk: Dcmtk, title: str, ports: Sequence[int], batches: Sequence[list[Path]]) -> None:
    """A storescu for each batch, all of them at the same time; every one of them succeeds."""
    start = threading.Barrier(len(batches))

    def send(number: int) -> None:
        start.wait(60)
        ran = dcmtk.store(ports[number % len(ports)], *batches[number], called=title)
        assert ran.is_ok, ran
        assert ran.output.count("Received Store Response (Success)") == len(batches[number]), ran

    with ThreadPoolExecutor(len(batches)) as pool:
        for sent in [pool.submit(send, number) for number in range(len(batches))]:
            sent.result(300)


def shelf_of(archive: Archive, title: Title) -> Shelf:
    with transaction.read(archive.database) as connection:
        statement = text("SELECT pk FROM storage_areas WHERE name = :name")
        return Shelf(archive.database, connection.execute(statement, {"name": title.area}).scalar_one())


def held(archive: Archive, title: Title) -> set[str]:
    """The studies of a title's area."""
    return {row.study_instance_uid for row in shelf_of(archive, title).rows(studies)}


def uid(study: int) -> str:
    return str(instance(study=study).StudyInstanceUID)


@pytest.mark.parametrize("side_pixels", [0, 256], ids=["small", "large"])
def test_four_senders_at_once_push_out_what_was_stored_to_least_recently(
    archive: Archive, dcmtk: Dcmtk, tmp_path: Path, side_pixels: int
) -> None:
    title = archive.add_title(max_studies=6, on_full="evict")
    for study in range(1, 7):
        archive.store(instance(study=study), title=title)
    for study in (1, 3):  # touched: 2, 4, 5 and 6 are the older ones now
        archive.store(instance(study=study, number=2), title=title)
    batches = [
        written(
            tmp_path / f"sender-{sender}",
            *(instance(study=100 + sender, number=n, side_pixels=side_pixels) for n in range(5)),
        )
        for sender in range(SENDERS)
    ]

    send_at_once(dcmtk, title.name, [archive.port], batches)

    assert held(archive, title) == {uid(study) for study in (1, 3, 100, 101, 102, 103)}
    shelf = shelf_of(archive, title)
    assert {row.study_instance_uid for row in shelf.rows(evictions)} == {uid(study) for study in (2, 4, 5, 6)}
    assert {row.caused_by_ae_title for row in shelf.rows(evictions)} == {"STORESCU"}
    assert archive.counters(title.area)[:3] == (6, 6, 2 + 2 + SENDERS * 5)
    shelf.assert_sound()
    assert archive.becomes_true(lambda: len(archive.files(title.area)) == 2 + 2 + SENDERS * 5)


def test_a_sender_is_told_that_the_area_is_full_and_goes_on_with_what_fits(
    archive: Archive, dcmtk: Dcmtk, tmp_path: Path
) -> None:
    title = archive.add_title(max_studies=1)
    archive.store(instance(study=1), title=title)
    first, second = written(tmp_path / "sent", instance(study=2), instance(study=1, number=2))

    refused = dcmtk.store(archive.port, first, called=title.name)
    taken = dcmtk.store(archive.port, second, called=title.name)

    assert "Refused: OutOfResources" in refused.output
    assert taken.is_ok
    assert archive.counters(title.area)[:3] == (1, 1, 2)


def test_a_housekeeping_process_that_died_is_followed_by_one_of_the_same_node(
    start_own_archive: Callable[..., Archive],
) -> None:
    archive = start_own_archive("--housekeeping-lease", "3600")
    archive.store(instance())
    assert len(archive.files(archive.title.area)) == 1
    (keeper,) = set(descendants(archive.service.process.pid)) - set(archive.workers())

    os.kill(keeper, signal.SIGKILL)
    archive.store(instance(number=2))

    assert len(archive.files(archive.title.area)) == 2
