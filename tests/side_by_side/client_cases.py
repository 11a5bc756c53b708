"""The table of command lines of clients at a site; each is run with DCMTK's program and with ours, at the same peers.

A row is a command line as it is typed, but for words in capitals, which stand for ports and UIDs. To add a case is to
add a row. What is sent and moved arrives at the same receiver; what is received, in the folder where the client was
started.
"""

from dataclasses import dataclass

from tests.side_by_side.site import HELD


@dataclass(frozen=True)
class Case:
    """A command line."""

    words: str
    is_told: bool = True
    """Whether what the programs say must be the same, too: where it does not name their own errors."""
    exit_codes: tuple[int, int] | None = None
    """DCMTK's and ours, where ours is another one on purpose: a failure is none of success."""

    @property
    def program(self) -> str:
        return self.words.split()[0]


def silent(words: str, *exit_codes: int) -> Case:
    """What is said is not compared: errors are in words of our own."""
    return Case(words, is_told=False, exit_codes=exit_codes if len(exit_codes) == 2 else None)


UIDS = {
    "STUDY1": str(HELD[0].StudyInstanceUID),
    "STUDY2": str(HELD[4].StudyInstanceUID),
    "SERIES1": str(HELD[0].SeriesInstanceUID),
    "SERIES2": str(HELD[2].SeriesInstanceUID),
    "IMAGE1": str(HELD[0].SOPInstanceUID),
    "IMAGE2": str(HELD[1].SOPInstanceUID),
    "PATIENT1": str(HELD[0].PatientID),
}

_Q = "-aec ARCHIVE"
_STUDY = "-k QueryRetrieveLevel=STUDY"

ECHOSCU = (
    Case("echoscu localhost PORT"),
    Case("echoscu -v -aec ARCHIVE localhost PORT"),
    silent("echoscu localhost CLOSED"),
    silent("echoscu -aec NOBODY localhost PORT"),
    silent("echoscu localhost REFUSING"),
    Case("echoscu -v -aec ARCHIVE --repeat 3 localhost PORT"),
    Case("echoscu -v -aec ARCHIVE --abort localhost PORT"),
    Case("echoscu -v -aec ARCHIVE -pts 38 -ppc 128 127.0.0.1 PORT"),
    Case("echoscu -v -aec ARCHIVE -pdu 4096 -to 5 -ta 5 -td 5 -ts 5 localhost PORT"),
    silent("echoscu -aec ARCHIVE -pts 0 localhost PORT"),
    silent("echoscu -aec ARCHIVE -ppc 129 localhost PORT"),
    silent("echoscu localhost 0"),
    silent("echoscu localhost"),
    silent("echoscu --no-such-option localhost PORT"),
)

FINDSCU = (
    Case(f"findscu -v -S {_Q} {_STUDY} -k StudyInstanceUID localhost PORT"),
    Case(f"findscu -v -S {_Q} {_STUDY} -k StudyInstanceUID=STUDY1 -k PatientName localhost PORT"),
    Case(f"findscu -v -P {_Q} -k QueryRetrieveLevel=PATIENT -k PatientID -k PatientName=Doe* localhost PORT"),
    Case(f"findscu -v -S {_Q} -k 0008,0052=SERIES -k 0020,000D=STUDY1 -k 0020,000E -k 0008,0060 localhost PORT"),
    Case(f"findscu -v -S {_Q} -k 8,52=IMAGE -k 20,d=STUDY1 -k 20,e=SERIES1 -k SOPInstanceUID localhost PORT"),
    Case(f"findscu -v -O {_Q} {_STUDY} -k PatientID=PATIENT1 -k StudyInstanceUID localhost PORT"),
    Case(f"findscu -v -S {_Q} {_STUDY} -k StudyInstanceUID=1.2.3 localhost PORT"),
    Case(f"findscu -v -S {_Q} {_STUDY} -k StudyDate=20000101-20991231 -k StudyInstanceUID localhost PORT"),
    Case(f"findscu -v -S {_Q} -xi {_STUDY} -k StudyInstanceUID localhost PORT"),
    Case(f"findscu -v -S {_Q} -xb {_STUDY} -k StudyInstanceUID localhost PORT"),
    silent(f"findscu -v -S {_Q} --repeat 2 {_STUDY} -k StudyInstanceUID=STUDY2 localhost PORT"),
    Case(f"findscu -v -S {_Q} --abort {_STUDY} -k StudyInstanceUID=STUDY2 localhost PORT"),
    Case(f"findscu -X -S {_Q} {_STUDY} -k StudyInstanceUID=STUDY1 -k PatientName localhost PORT"),
    Case(f"findscu -X -od . -S {_Q} {_STUDY} -k StudyInstanceUID localhost PORT"),
    silent(f"findscu -S {_Q} -k QueryRetrieveLevel=NOWHERE localhost PORT", 0, 2),
    silent("findscu -S -aec NOBODY -k QueryRetrieveLevel=STUDY localhost PORT"),
    silent(f"findscu -W {_Q} -k PatientName localhost PORT"),
    silent(f"findscu -S {_Q} -k NoSuchKeyword=1 localhost PORT", 0, 2),
    silent(f"findscu -S {_Q} -k 0008 localhost PORT", 0, 2),
    silent(f"findscu -S {_Q} localhost PORT no-such-file"),
    silent("findscu -S -k QueryRetrieveLevel=STUDY localhost CLOSED"),
    silent("findscu -S -k QueryRetrieveLevel=STUDY localhost REFUSING"),
    Case(f"findscu -S {_Q} -q {_STUDY} -k StudyInstanceUID localhost PORT"),
    Case(f"findscu -S {_Q} -sr -v {_STUDY} -k StudyInstanceUID localhost PORT"),
    Case(f"findscu -S {_Q} +sr -q {_STUDY} -k StudyInstanceUID=STUDY1 localhost PORT"),
    Case(f"findscu -S {_Q} -Xx {_STUDY} -k StudyInstanceUID=STUDY1 localhost PORT"),
    Case(f"findscu -S {_Q} -Xs all.xml {_STUDY} -k StudyInstanceUID=STUDY1 localhost PORT"),
    Case(f"findscu -S {_Q} -X -Xlo 1 {_STUDY} -k StudyInstanceUID localhost PORT"),
    silent(f"findscu -S {_Q} -X -od nowhere {_STUDY} -k StudyInstanceUID localhost PORT"),
    silent(f"findscu -S {_Q} -Xs nowhere/all.xml {_STUDY} -k StudyInstanceUID localhost PORT", 0, 2),
    silent("findscu"),
    silent("findscu localhost PORT"),
)

GETSCU = (
    silent(f"getscu -v -S {_Q} {_STUDY} -k StudyInstanceUID=STUDY2 localhost PORT"),
    Case(f"getscu -S {_Q} {_STUDY} -k StudyInstanceUID=STUDY1 localhost PORT"),
    Case(f"getscu -P {_Q} -k QueryRetrieveLevel=PATIENT -k PatientID=PATIENT1 localhost PORT"),
    Case(f"getscu -S {_Q} -k 8,52=SERIES -k 20,d=STUDY1 -k 20,e=SERIES2 localhost PORT"),
    Case(f"getscu -S {_Q} -k 8,52=IMAGE -k 20,d=STUDY1 -k 20,e=SERIES1 -k 8,18=IMAGE2 localhost PORT"),
    Case(f"getscu -S +B {_Q} {_STUDY} -k StudyInstanceUID=STUDY1 localhost PORT"),
    Case(f"getscu -S --ignore {_Q} {_STUDY} -k StudyInstanceUID=STUDY1 localhost PORT"),
    Case(f"getscu -S -xi {_Q} {_STUDY} -k StudyInstanceUID=STUDY2 localhost PORT"),
    Case(f"getscu -S -od in {_Q} {_STUDY} -k StudyInstanceUID=STUDY2 localhost PORT"),
    Case(f"getscu -S {_Q} {_STUDY} -k StudyInstanceUID=1.2.3 localhost PORT"),
    silent(f"getscu -S -od nowhere {_Q} {_STUDY} -k StudyInstanceUID=STUDY2 localhost PORT"),
    silent("getscu -S -k QueryRetrieveLevel=STUDY localhost CLOSED"),
    silent("getscu -S -aec NOBODY -k QueryRetrieveLevel=STUDY localhost PORT"),
    silent("getscu -S -k QueryRetrieveLevel=STUDY localhost SINK"),
    silent(f"getscu -S -k QueryRetrieveLevel=NOWHERE -k StudyInstanceUID=STUDY2 {_Q} localhost PORT", 0, 1),
    silent(f"getscu -S {_Q} -od no-dicom {_STUDY} -k StudyInstanceUID=STUDY2 localhost PORT"),
    silent(f"getscu -S {_Q} +B --ignore {_STUDY} -k StudyInstanceUID=STUDY2 localhost PORT"),
    silent(f"getscu -S {_Q} -od in --ignore {_STUDY} -k StudyInstanceUID=STUDY2 localhost PORT"),
    silent(f"getscu -S {_Q} localhost PORT no-such-file"),
    silent(f"getscu -S {_Q} -to 0 {_STUDY} localhost PORT"),
    silent(f"getscu -S {_Q} +v {_STUDY} localhost PORT"),
    silent("getscu localhost PORT"),
    silent("getscu"),
)

MOVESCU = (
    Case(f"movescu -v -S {_Q} -aem SINK {_STUDY} -k StudyInstanceUID=STUDY2 localhost PORT"),
    Case(f"movescu -S {_Q} -aem SINK {_STUDY} -k StudyInstanceUID=STUDY1 localhost PORT"),
    Case(f"movescu -P {_Q} -aem SINK -k QueryRetrieveLevel=PATIENT -k PatientID=PATIENT1 localhost PORT"),
    Case(f"movescu -S {_Q} -aem SINK -k 8,52=SERIES -k 20,d=STUDY1 -k 20,e=SERIES2 localhost PORT"),
    Case(f"movescu -S {_Q} -aem SINK -k 8,52=IMAGE -k 20,d=STUDY1 -k 20,e=SERIES1 -k 8,18=IMAGE2 localhost PORT"),
    Case(f"movescu -O {_Q} -aem SINK {_STUDY} -k PatientID=PATIENT1 -k StudyInstanceUID=STUDY1 localhost PORT"),
    Case(f"movescu -S {_Q} -aem SINK --repeat 2 {_STUDY} -k StudyInstanceUID=STUDY2 localhost PORT"),
    Case(f"movescu -S {_Q} -aem MYSELF +P TARGET {_STUDY} -k StudyInstanceUID=STUDY1 localhost PORT"),
    Case(f"movescu -S {_Q} -aem MYSELF +P TARGET +B {_STUDY} -k StudyInstanceUID=STUDY1 localhost PORT"),
    Case(f"movescu -S {_Q} -aem MYSELF +P TARGET --ignore {_STUDY} -k StudyInstanceUID=STUDY1 localhost PORT"),
    Case(f"movescu -S {_Q} -aem MYSELF +P TARGET +ti {_STUDY} -k StudyInstanceUID=STUDY2 localhost PORT"),
    Case(f"movescu -S {_Q} -aem MYSELF +P TARGET -F {_STUDY} -k StudyInstanceUID=STUDY2 localhost PORT"),
    Case(f"movescu -S {_Q} -aem MYSELF +P TARGET +xi {_STUDY} -k StudyInstanceUID=STUDY2 localhost PORT"),
    Case(f"movescu -S {_Q} -aem SINK {_STUDY} -k StudyInstanceUID=1.2.3 localhost PORT"),
    silent(f"movescu -S {_Q} -aem UNKNOWN {_STUDY} -k StudyInstanceUID=STUDY2 localhost PORT"),
    silent(f"movescu -S {_Q} -aem NOBODY {_STUDY} -k StudyInstanceUID=STUDY2 localhost PORT"),
    silent("movescu -S -aem SINK -k QueryRetrieveLevel=STUDY localhost CLOSED"),
    silent("movescu -S -aec NOBODY -aem SINK -k QueryRetrieveLevel=STUDY localhost PORT"),
    silent(f"movescu -S {_Q} -aem MYSELF +P TARGET -od nowhere {_STUDY} -k StudyInstanceUID=STUDY2 localhost PORT"),
    silent(f"movescu -S {_Q} -aem MYSELF +P PORT {_STUDY} -k StudyInstanceUID=STUDY2 localhost PORT"),
    Case(f"movescu -S {_Q} -aem SINK --cancel 9 {_STUDY} -k StudyInstanceUID=STUDY1 localhost PORT"),
    Case(f"movescu -v -S {_Q} -aem SINK -pr {_STUDY} -k StudyInstanceUID=STUDY2 localhost PORT"),
    Case(f"movescu -S {_Q} -aem MYSELF +P TARGET -od in {_STUDY} -k StudyInstanceUID=STUDY2 localhost PORT"),
    Case(f"movescu -S {_Q} -aem MYSELF +P TARGET +te {_STUDY} -k StudyInstanceUID=STUDY2 localhost PORT"),
    Case(f"movescu -S {_Q} -aem MYSELF +P TARGET -e -g {_STUDY} -k StudyInstanceUID=STUDY1 localhost PORT"),
    Case(f"movescu -S {_Q} -aem SINK -q {_STUDY} -k StudyInstanceUID=1.2.3 localhost PORT"),
    silent(f"movescu -S {_Q} -q -aem UNKNOWN {_STUDY} -k StudyInstanceUID=STUDY2 localhost PORT"),
    silent(f"movescu -S {_Q} -aem UNKNOWN --repeat 2 {_STUDY} -k StudyInstanceUID=STUDY2 localhost PORT"),
    silent(f"movescu -S {_Q} -aem MYSELF +P TARGET -od in/1.dcm {_STUDY} -k StudyInstanceUID=1.2 localhost PORT"),
    silent(f"movescu -S {_Q} -od in {_STUDY} -k StudyInstanceUID=STUDY2 localhost PORT"),
    silent(f"movescu -S {_Q} -k NoSuchKeyword=1 localhost PORT"),
    silent(f"movescu -S {_Q} -k 0008 localhost PORT"),
    silent(f"movescu -S {_Q} localhost PORT no-such-file"),
    silent(f"movescu {_STUDY} localhost 0"),
    silent(f"movescu {_STUDY} localhost 65536"),
    silent(f"movescu {_STUDY} localhost PORTS"),
    silent(f"movescu {_STUDY} no.such.host.invalid 104"),
    silent(f"movescu -ta 0 {_STUDY} localhost PORT"),
    silent(f"movescu -td 0 {_STUDY} localhost PORT"),
    silent(f"movescu -to 0 {_STUDY} localhost PORT"),
    silent(f"movescu -pdu 131073 {_STUDY} localhost PORT"),
    silent(f"movescu --repeat 0 {_STUDY} localhost PORT"),
    silent(f"movescu -ll loud {_STUDY} localhost PORT"),
    silent(f"movescu -lc no-such-file {_STUDY} localhost PORT"),
    silent(f"movescu @no-such-file {_STUDY} localhost PORT"),
    silent("movescu localhost PORT"),
    silent("movescu"),
)

CASES = (*ECHOSCU, *FINDSCU, *GETSCU, *MOVESCU)
