"""`kill -9` of a receiving command while instances come: files are whole, and nothing else is left."""

import os
import signal
import sys
from pathlib import Path

import pytest

from scripts.background import Background, free_port
from tests.fix_instances import ct, data_set_bytes, encoded
from tests.wire.raw_messages import DATA, Proposed, pdu, pdv
from tests.wire.raw_scu import RawScu

pytestmark = pytest.mark.crash

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("received_bytes", [1_000, 100_000, 500_000])
def test_a_receiver_that_is_killed_leaves_whole_files_only(received_bytes: int, tmp_path: Path) -> None:
    folder, port = tmp_path / "out", free_port()
    folder.mkdir()
    command = [sys.executable, "-m", "archive", "storescp", "-od", folder, str(port)]
    receiver = Background(command, tmp_path / "log", folder=ROOT)
    whole, half = ct(number=1), ct(number=2)
    try:
        receiver.wait_listening(port)
        with RawScu(port) as scu:
            scu.associate([Proposed(CT, (EXPLICIT,))])
            scu.store(CT, str(whole.SOPInstanceUID), encoded(whole))
            context = scu.announce_store(CT, str(half.SOPInstanceUID))
            begun = encoded(half)[:received_bytes]
            pieces = [begun[at : at + 16_000] for at in range(0, len(begun), 16_000)]
            scu.says(*(pdu(0x04, pdv(context.context_id, DATA, piece)) for piece in pieces))
            os.kill(receiver.pid, signal.SIGKILL)
            receiver.wait()
    finally:
        receiver.stop()

    (file,) = folder.iterdir()
    assert data_set_bytes(file) == encoded(whole)
