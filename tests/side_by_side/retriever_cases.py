"""The table of command lines of movescu and getscu, and what the peer does that they ask.

A row is run with DCMTK's program and with ours. To add a case is to add a row; traffic to a port has a name in
`traffic`, and instances that come in a C-GET have one here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydicom.dataset import FileDataset

from tests.fix_instances import ct, instance
from tests.side_by_side.receiver_cases import LENGTHS_AND_VRS, PRESETS, WRITING
from tests.side_by_side.traffic import OF_EACH_ENCODING, SOME, names

KEYS = "-k QueryRetrieveLevel=PATIENT -k PatientID=P000001"

SENT: Mapping[str, Sequence[FileDataset]] = {
    "nothing": (),
    "some": SOME,
    "twice": (SOME[0], SOME[0]),
    "encodings": OF_EACH_ENCODING,
    "large": (ct(),),
    "many small": tuple(instance(number=number, side_pixels=0) for number in range(40)),
}
"""What a C-GET brings, as far as it fits the contexts that are proposed."""


@dataclass(frozen=True)
class Case:
    """A command line without peer and port, what is sent for each request, and how each is answered at last."""

    program: str
    options: str
    sends: Sequence[str] = ()
    statuses: Sequence[int] = (0x0000,)
    files: Sequence[Mapping[str, str]] = field(default=(), compare=False)
    """Query files, by keyword."""

    @property
    def id(self) -> str:
        statuses = " ".join(f"{status:04X}" for status in self.statuses)
        return f"{self.program} {self.options}{' and files' if self.files else ''}: {', '.join(self.sends)} {statuses}"


def movescu(options: str, *sends: str, statuses: Sequence[int] = (0,), files: Sequence[Mapping[str, str]] = ()) -> Case:
    return Case("movescu", options, names(*sends), statuses, files)


def receiving(options: str, *sends: str) -> Case:
    """Instances come to movescu itself."""
    return Case("movescu", f"+P PORT {options} {KEYS}", names(*sends))


def getscu(options: str, *sends: str, files: Sequence[Mapping[str, str]] = ()) -> Case:
    """With one file at most: getscu 3.6.7 looks for another one behind the last of several, and ends."""
    return Case("getscu", options, sends, (0,) * (max(len(files), 1) * repeats(options)), files)


def repeats(options: str) -> int:
    words = options.split()
    return int(words[words.index("--repeat") + 1]) if "--repeat" in words else 1


FINAL = (0x0122, 0x0211, 0xA701, 0xA702, 0xA801, 0xA900, 0xAA02, 0xB000, 0xC000, 0xC123, 0xFE00, 0x1234)
STUDIES = (
    {"QueryRetrieveLevel": "STUDY", "PatientID": "P000001", "StudyInstanceUID": "1.2.3"},
    {"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4"},
)
MODELS = ("", "-P", "-S", "-O", "-P -S", "-S -O -P")
PROPOSED = ("-x=", "-xe", "-xb", "-xi -xe", "-xe -xb")
TITLES = ("-aet ME", "-aec YOU", "-aet ME -aec YOU", "-aet SIXTEEN_CHARS_XY")
QUERIES = (
    "-k QueryRetrieveLevel=STUDY -k StudyInstanceUID=1.2.3",
    "-k 0008,0052=SERIES -k 0020,000d=1.2.3 -k 0020,000e=1.2.3.4",
    "-k QueryRetrieveLevel=IMAGE -k SOPInstanceUID=1.2\\1.3\\1.4",
    "-k QueryRetrieveLevel=PATIENT -k PatientID=",
    "-k QueryRetrieveLevel=PATIENT -k PatientID",
    "-k PatientID=A -k PatientID=B",
    "-k InstanceNumber=12 -k StudyDate=20260101-20260131",
    "-k 0028,0010=512 -k Columns=256",
)

CASES = (
    # What is asked, and how
    *(movescu(f"{options} {KEYS}".strip()) for options in (*MODELS, *PROPOSED, *TITLES)),
    *(movescu(options) for options in QUERIES),
    movescu(f"-aem OTHER {KEYS}"),
    movescu(f"-aet ME -aem OTHER {KEYS}"),
    movescu(f"--repeat 3 {KEYS}", statuses=(0, 0, 0)),
    movescu(f"-pdu 4096 {KEYS}"),
    movescu("", files=STUDIES[:1]),
    movescu("", files=STUDIES, statuses=(0, 0)),
    movescu("-k PatientID=OTHER --repeat 2", files=STUDIES, statuses=(0,) * 4),
    *(getscu(f"{options} {KEYS}".strip()) for options in (*MODELS, *PROPOSED, *TITLES)),
    *(getscu(options) for options in QUERIES),
    getscu("-k (0008,1199)[0].ReferencedSOPInstanceUID=1.2.3 -k 0008,0052=IMAGE"),
    getscu(f"--repeat 3 {KEYS}"),
    getscu(f"-pdu 4096 {KEYS}"),
    getscu("", files=STUDIES[:1]),
    getscu("-k PatientID=OTHER --repeat 2", files=STUDIES[1:]),
    # How it ends
    *(movescu(KEYS, statuses=(status,)) for status in FINAL),  # but Success, which is the first case
    movescu(f"--repeat 3 {KEYS}", statuses=(0, 0xB000, 0)),
    movescu(f"--repeat 3 {KEYS}", statuses=(0xA702, 0xB000, 0)),
    movescu("", files=STUDIES, statuses=(0xB000, 0xA801)),
    movescu(f"--abort {KEYS}"),
    getscu(f"--abort {KEYS}"),
    # What comes to movescu itself
    receiving("", "some"),
    receiving("", "twice"),
    receiving("", "large"),
    receiving("", "many small"),
    receiving("", "empty values"),
    receiving("", "private class"),
    receiving("--ignore", "some"),
    receiving("", "echo", "some"),
    receiving("-pdu 4096", "longest PDU"),
    receiving("-dhl -up -ac", "some"),
    *(receiving(options, "encodings") for options in WRITING),
    *(receiving(f"+xd {options}", "every kind of element") for options in LENGTHS_AND_VRS if "uc" not in options),
    *(receiving(preset, "transfer syntaxes together", "every transfer syntax") for preset in PRESETS),
    receiving("+xa", "transfer syntaxes together", "uncompressed"),
    receiving("", "uncompressed", "unknown classes"),
    receiving("", "nothing to agree on", "some"),
    receiving("", "unknown transfer syntax"),
    receiving("", "another title"),
    receiving("", "roles"),
    receiving("", "storescu"),
    receiving("+xa +B", "storescu"),
    # What comes in a C-GET
    *(getscu(f"{option} {KEYS}".strip(), "some") for option in ("", "-B", "+B", "-B +B", "--ignore")),
    *(getscu(f"{option} {KEYS}".strip(), "twice") for option in ("", "+B")),
    *(getscu(f"{option} {KEYS}".strip(), "large") for option in ("", "+B")),
    *(getscu(f"{option} {KEYS}".strip(), "encodings") for option in ("", "+xb", "+xd", "+xs", "-B +xd", "+B +xd")),
    getscu(KEYS, "many small"),
    getscu(f"--repeat 2 {KEYS}", "some"),
)
