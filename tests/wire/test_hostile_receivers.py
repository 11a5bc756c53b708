"""storescp and dcmrecv among hostile peers: many at once, names that are none, values as long as they can be."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from tests.fix_instances import encoded, instance
from tests.wire.raw_messages import SECONDARY_CAPTURE, VERIFICATION, Ended, Proposed
from tests.wire.storage_scps import OURS, StorageScp, running

AT_ONCE = 200
LONGEST = 65_534  # bytes of a value with a length of two bytes

# What somebody may write who wants to reach another file, a shell or a terminal.
HOSTILE = [
    "../../../../tmp/outside",
    "/etc/passwd",
    "..",
    ".",
    "a/b\\c",
    "a\0/../../outside",
    "$(touch outside)`touch outside`; touch outside",
    "| touch outside",
    "\x1b]0;title\x07\x1b[2J",
    "line\nbreak\r",
    "-rf",
    "\xff\xfe" * 20,
    "A" * LONGEST,
    "../" * (LONGEST // 3),
]


@pytest.mark.parametrize("name", ["storescp", "dcmrecv"])
def test_two_hundred_associations_at_once_all_store(tmp_path: Path, name: str) -> None:
    together = Barrier(AT_ONCE)

    def send(number: int) -> int:
        made = instance(number=number, side_pixels=0)
        with scp.associate(Proposed(SECONDARY_CAPTURE)) as scu:
            together.wait(120)  # all have an association before the first stores
            status = scu.store(SECONDARY_CAPTURE, str(made.SOPInstanceUID), encoded(made)).status
            scu.release()
        return status

    with running(OURS, tmp_path, name=name) as scp, ThreadPoolExecutor(AT_ONCE) as pool:
        statuses = list(pool.map(send, range(AT_ONCE)))
        files = scp.files()

    assert statuses == [0] * AT_ONCE
    assert len(files) == AT_ONCE


@pytest.mark.parametrize(
    "name, options",
    [
        ("storescp", "-sp"), ("storescp", "-su p"), ("storescp", "-ss p -tn"), ("storescp", "+uf"),
        ("storescp", "-B -sp -F"), ("dcmrecv", "+ssd"), ("dcmrecv", "+ssd +fsu -B"),
    ],
)  # fmt: skip
def test_no_value_of_a_peer_leads_out_of_the_folder(tmp_path: Path, name: str, options: str) -> None:
    with running(OURS, tmp_path, *options.split(), name=name) as scp:
        answers = [_stored(scp, *_saying(value, number)) for number, value in enumerate(HOSTILE)]
        others = _stored(scp, *_saying("1.2.3", len(HOSTILE)))
        inside = scp.files()

    assert {path.name for path in tmp_path.iterdir()} == {"received", f"{name}.log"}
    assert not Path("outside").exists()
    assert others == "0000"
    assert len(inside) == [*answers, others].count("0000")
    assert all(name.isprintable() and len(part.encode()) <= 255 for name in inside for part in name.split("/"))


def test_no_uid_of_a_request_leads_out_of_the_folder(tmp_path: Path) -> None:
    with running(OURS, tmp_path, "+B") as scp:
        for uid in HOSTILE:
            _stored(scp, _saying("1.2.3", 1)[0], uid)
        with scp.associate(Proposed(VERIFICATION)) as scu:
            assert scu.echo() == 0
            scu.release()

    assert {path.name for path in tmp_path.iterdir()} == {"received", "storescp.log"}
    assert all(path.parent == scp.folder for path in scp.folder.rglob("*"))


def _saying(value: str, number: int) -> tuple[bytes, str]:
    """A data set whose patient, study and Series Date are called so, and the UID of its instance."""
    made = instance(number=number, side_pixels=0, SpecificCharacterSet="ISO_IR 100", SeriesDate="20260102")
    raw = _with(encoded(made), b"\x10\0\x10\0PN", value)
    raw = _with(raw, b"\x08\0\x21\0DA", value)
    return _with(raw, b"\x20\0\x0d\0UI", value), str(made.SOPInstanceUID)


def _stored(scp: StorageScp, data_set: bytes, uid: str) -> str:
    with scp.associate(Proposed(SECONDARY_CAPTURE, ("1.2.840.10008.1.2.1",))) as scu:
        try:
            status = scu.store(SECONDARY_CAPTURE, uid, data_set).status
        except Ended:
            return "ended"
        scu.release()
    return f"{status:04X}"


def _with(data_set: bytes, element: bytes, value: str) -> bytes:
    """The data set, explicit VR little endian, with another value of an element."""
    at = data_set.index(element)
    old = int.from_bytes(data_set[at + 6 : at + 8], "little")
    new = value.encode("latin-1")
    new += b" " * (len(new) % 2)
    return data_set[: at + 6] + len(new).to_bytes(2, "little") + new + data_set[at + 8 + old :]
