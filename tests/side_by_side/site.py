"""What clients talk to: DCMTK's dcmqrscp with some studies, receivers, and ports where nobody is."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import FileDataset

from scripts.background import Background, free_port
from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import encoded, instance, part10_bytes
from tests.side_by_side.traffic import MR
from tests.wire.raw_messages import Proposed
from tests.wire.raw_scu import RawScu

ARCHIVE, READ_ONLY, SINK = "ARCHIVE", "READONLY", "SINK"

HELD = (
    *(
        instance(patient=1, study=1, series=series, number=number, side_pixels=0, PatientName="Doe^Jane")
        for series in (1, 2)
        for number in (1, 2)
    ),
    instance(patient=1, study=2, number=1, side_pixels=0, SOPClassUID=MR, Modality="MR", PatientName="Doe^Jane"),
    instance(
        patient=2, study=3, number=1, side_pixels=64, PatientName="Roe^Richard", SpecificCharacterSet="ISO_IR 100"
    ),
)


@dataclass(frozen=True)
class Site:
    """Ports, by the words that stand for them in a table of cases."""

    ports: Mapping[str, int]
    folder: Path

    def sink(self) -> Path:
        """Where what is sent and moved arrives."""
        return self.folder / "sink"


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """All of it, as long as the context."""
    with ExitStack() as stack:
        sink = folder / "sink"
        sink.mkdir()
        ports = {word: free_port() for word in ("PORT", "SINK", "REFUSING", "TARGET")}
        _start(stack, ports["SINK"], folder, "storescp", "-od", sink, "+xa", "+uf", "-fe", ".dcm", ports["SINK"])
        _start(stack, ports["REFUSING"], folder, "storescp", "--refuse", ports["REFUSING"])
        (folder / "area").mkdir()
        configuration = folder / "dcmqrscp.cfg"
        configuration.write_text(_configuration(ports, folder / "area"))
        _start(stack, ports["PORT"], folder, "dcmqrscp", "-c", configuration)
        for each in HELD:
            _store(ports["PORT"], each)
        yield Site({**ports, "CLOSED": free_port()}, folder)


def _start(stack: ExitStack, port: int, folder: Path, program: str, *words: object) -> None:
    process = Background(
        list(map(str, [Dcmtk.program(program), *words])),
        folder / f"{program}-{port}.log",
        environment={"TCP_NODELAY": "1", "LC_ALL": "C.UTF-8"},
    )
    stack.callback(process.stop)
    process.wait_listening(port)


def _configuration(ports: Mapping[str, int], area: Path) -> str:
    return (
        f"NetworkTCPPort = {ports['PORT']}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        f"HostTable BEGIN\nsink = ({SINK}, localhost, {ports['SINK']})\n"
        f"self = (MYSELF, localhost, {ports['TARGET']})\n"
        f"nobody = (NOBODY, localhost, {free_port()})\nHostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\n{ARCHIVE} {area} RW (100, 1024mb) ANY\n{READ_ONLY} {area} R (100, 1024mb) ANY\nAETable END\n"
    )


def _store(port: int, made: FileDataset) -> None:
    with RawScu(port) as scu:
        scu.associate([Proposed(str(made.SOPClassUID), (str(made.file_meta.TransferSyntaxUID),))], called=ARCHIVE)
        assert scu.store(str(made.SOPClassUID), str(made.SOPInstanceUID), encoded(made)).status == 0
        scu.release()


def write_files(folder: Path) -> None:
    """The files that cases name."""
    (folder / "in").mkdir()
    for number, each in enumerate(HELD[:3], 1):
        (folder / "in" / f"{number}.dcm").write_bytes(part10_bytes(each))
    (folder / "in" / "deep").mkdir()
    (folder / "in" / "deep" / "4.dcm").write_bytes(part10_bytes(HELD[4]))
    (folder / "no-dicom").write_bytes(b"this is no DICOM file\n" * 20)
    (folder / "empty").write_bytes(b"")
