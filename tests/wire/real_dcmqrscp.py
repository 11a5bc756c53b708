"""DCMTK's dcmqrscp beside the archive: where both are said to answer alike, a test asks both."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import FileDataset

from scripts.background import Background, free_port
from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import encoded
from tests.wire.raw_messages import Proposed
from tests.wire.raw_scu import RawScu

TITLE = "DCMQRSCP"


@dataclass(frozen=True)
class RealDcmqrscp:
    """A running dcmqrscp with one area that anybody may read and write."""

    port: int
    process: Background = field(repr=False)

    def associate(self, *contexts: Proposed, **fields: Any) -> RawScu:
        return RawScu(self.port).associate(contexts, called=TITLE, **fields)

    def store(self, *data_sets: FileDataset) -> None:
        """Store instances, each over an association of its own."""
        for each in data_sets:
            syntax = str(each.file_meta.TransferSyntaxUID)
            with self.associate(Proposed(each.SOPClassUID, (syntax,))) as scu:
                assert scu.store(each.SOPClassUID, each.SOPInstanceUID, encoded(each)).status == 0
                scu.release()


@pytest.fixture
def start_dcmqrscp(tmp_path: Path) -> Iterator[Callable[..., RealDcmqrscp]]:
    """`start_dcmqrscp("-XF", peers={"DEST": port})` starts one; its move destinations by AE title."""
    started: list[Background] = []

    def begin(*options: str, peers: Mapping[str, int] | None = None) -> RealDcmqrscp:
        folder = tmp_path / f"dcmqrscp-{len(started)}"
        area, port = folder / "area", free_port()
        area.mkdir(parents=True)
        hosts = "".join(f"p{number} = ({title}, 127.0.0.1, {to})\n" for title, (number, to) in _numbered(peers))
        configuration = folder / "dcmqrscp.cfg"
        configuration.write_text(
            f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
            f"HostTable BEGIN\n{hosts}HostTable END\nVendorTable BEGIN\nVendorTable END\n"
            f"AETable BEGIN\n{TITLE} {area} RW (100, 1024mb) ANY\nAETable END\n"
        )
        process = Background(
            [Dcmtk.program("dcmqrscp"), "-c", configuration, *options],
            folder / "log",
            environment={"TCP_NODELAY": "1", "LC_ALL": "C.UTF-8"},
        )
        started.append(process)
        process.wait_listening(port)
        return RealDcmqrscp(port, process)

    yield begin
    for process in started:
        process.stop()


def _numbered(peers: Mapping[str, int] | None) -> list[tuple[str, tuple[int, int]]]:
    return [(title, (number, port)) for number, (title, port) in enumerate((peers or {}).items())]
