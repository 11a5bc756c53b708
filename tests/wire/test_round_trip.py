"""Every file that comes with pydicom goes in and comes back byte for byte, or is refused with a clear status."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filereader import _read_file_meta_info, read_preamble

from tests.fix_dcmtk import Receiver
from tests.fix_instances import BUNDLED_FOLDER, CHARSET_FOLDER, bundled_files, data_set_bytes, is_storable
from tests.wire.raw_messages import EXPLICIT, IMPLICIT, SECONDARY_CAPTURE, STUDY_ROOT_GET, STUDY_ROOT_MOVE, Proposed
from tests.wire.running import Archive, identifier

MOST_CONTEXTS = 127  # one more is for C-GET


@dataclass(frozen=True)
class Sample:
    """A bundled file as it goes over the wire, whatever it is."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    transfer_syntax: str
    content: bytes

    @property
    def kind(self) -> tuple[str, str]:
        return self.sop_class_uid, self.transfer_syntax


def sample(path: Path) -> Sample:
    """Read a bundled file without a judgement; what it lacks is made up."""
    raw = path.read_bytes()
    with path.open("rb") as file:
        preamble = read_preamble(file, force=True)
        meta: Dataset = _read_file_meta_info(file) if preamble else Dataset()
        content = raw[file.tell() :] if preamble else raw
    try:
        found: Dataset = dcmread(path, stop_before_pixels=True, force=True)
        uids = [str(found.get(keyword) or "") for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID")]
    except Exception:  # noqa: BLE001 - some files are there because nobody can read them
        uids = ["", "", ""]
    sop_class = uids[0] or str(meta.get("MediaStorageSOPClassUID") or SECONDARY_CAPTURE)
    instance_uid = uids[1] or str(meta.get("MediaStorageSOPInstanceUID") or "1.2.3.4")
    return Sample(path, sop_class, instance_uid, uids[2], str(meta.get("TransferSyntaxUID") or IMPLICIT), content)


def is_part10(path: Path) -> bool:
    """Whether a file says that it is DICOM; those of a file-set have no suffix."""
    return path.is_file() and path.read_bytes()[128:132] == b"DICM"


def samples() -> Iterator[Sample]:
    with warnings.catch_warnings(action="ignore"):  # some files are odd on purpose
        for path in {*bundled_files(), *filter(is_part10, BUNDLED_FOLDER.rglob("*"))}:
            yield sample(path)


@pytest.fixture(scope="module")
def bundled() -> list[Sample]:
    """All of them."""
    return sorted(samples(), key=lambda each: each.path)


def kinds(of: list[Sample]) -> list[Proposed]:
    found = sorted({each.kind for each in of})
    assert len(found) <= MOST_CONTEXTS
    return [Proposed(sop_class, (syntax,)) for sop_class, syntax in found]


def test_there_is_much_to_send(bundled: list[Sample]) -> None:
    assert len(bundled) > 100
    assert any(CHARSET_FOLDER in each.path.parents for each in bundled)
    assert len({each.transfer_syntax for each in bundled}) > 10


def test_every_file_comes_back_byte_for_byte_or_is_refused(archive: Archive, bundled: list[Sample]) -> None:
    """One association takes them all, and another hands each out before the next may replace it."""
    archive.set_area(archive.title.area, durability="relaxed")
    contexts = kinds(bundled)
    roles = {each.abstract_syntax: (0, 1) for each in contexts}
    wrong: list[str] = []
    with (
        archive.associate(*contexts) as storing,
        archive.associate(Proposed(STUDY_ROOT_GET, (EXPLICIT,)), *contexts, roles=roles) as getting,
    ):
        usable = {(each.abstract_syntax, each.transfer_syntax) for each in storing.accepted}
        for each in bundled:
            if each.kind not in usable:
                wrong += [f"{each.path.name}: no context"] if is_storable(each.path) else []
                continue
            response = storing.store(*each.kind[:1], each.sop_instance_uid, each.content, each.transfer_syntax)
            if response.status == 0:
                got = getting.get(
                    STUDY_ROOT_GET,
                    identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=each.study_instance_uid),
                )
                if got.data_sets.get(each.sop_instance_uid) != each.content:
                    wrong.append(f"{each.path.name}: came back otherwise, {got.final.status:04X}")
            elif is_storable(each.path) or not response.comment or response.status not in (0xA900, 0xC000):
                wrong.append(f"{each.path.name}: {response.status:04X} {response.comment}")
        storing.release()
        getting.release()

    assert wrong == []


def test_every_storable_file_goes_to_storescp_byte_for_byte(
    archive: Archive, bundled: list[Sample], start_storescp: Callable[..., Receiver]
) -> None:
    archive.set_area(archive.title.area, durability="relaxed")
    # DCMTK aborts at a fragment of odd length, with which a data set of odd length has to end (PS3.8 9.3.5).
    last = {each.sop_instance_uid: each for each in bundled if is_storable(each.path) and len(each.content) % 2 == 0}
    assert len(last) > 100
    with archive.associate(*kinds(list(last.values()))) as scu:
        for each in last.values():
            response = scu.store(each.sop_class_uid, each.sop_instance_uid, each.content, each.transfer_syntax)
            assert response.status == 0, (each.path, response.comment)
        scu.release()
    receiver = start_storescp("+xa", "-pm")
    peer = archive.add_peer(receiver.port)
    studies = sorted({each.study_instance_uid for each in last.values()})

    with archive.associate(Proposed(STUDY_ROOT_MOVE)) as scu:
        *_, final = scu.move(STUDY_ROOT_MOVE, identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=studies), peer)

    metas = {path: dcmread(path, stop_before_pixels=True).file_meta for path in receiver.files()}
    received = {str(meta.MediaStorageSOPInstanceUID): data_set_bytes(path) for path, meta in metas.items()}
    wrong = {each.path.name for uid, each in last.items() if received.get(uid) != each.content}
    assert wrong == set()
    assert final.status == 0
    assert final.counters == (None, len(last), 0, 0)
