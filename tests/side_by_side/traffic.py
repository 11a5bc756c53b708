"""What peers send to a receiver: the same each time, with the answers that they get as words."""

import subprocess
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLSLossless

from archive.dicom.transfer_syntax_presets import ACCEPT
from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import ct, encoded, instance, write
from tests.side_by_side.elements import ENCODINGS
from tests.wire.raw_messages import (
    BIG_ENDIAN,
    CT_IMAGE,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    SECONDARY_CAPTURE,
    STUDY_ROOT_FIND,
    VERIFICATION,
    Ended,
    Proposed,
    Rejected,
)
from tests.wire.raw_scu import RawScu

MR = "1.2.840.10008.5.1.4.1.1.4"
PRESENTATION_STATE = "1.2.840.10008.5.1.4.1.1.11.1"  # has three letters: PSg
PRIVATE_CLASS = "1.2.826.0.1.3680043.9.9999.1.1"

Traffic = Callable[[int, Path], list[str]]
"""Send to a port, with a folder for files of its own; what was answered."""


def of_study(letter: str, number: int, **keywords: Any) -> FileDataset:
    """An instance of the study that a letter names."""
    with warnings.catch_warnings(action="ignore"):  # some are odd on purpose
        return instance(study=ord(letter), number=number, side_pixels=0, **keywords)


SOME = (
    ct(number=1, side_pixels=16),
    instance(number=2, side_pixels=0, SOPClassUID=MR),
    instance(number=3, side_pixels=0, SOPClassUID=PRESENTATION_STATE),
    instance(number=4, side_pixels=300),
    ct(number=5, side_pixels=16),
)
INTERLEAVED = (of_study("A", 1), of_study("B", 2), of_study("A", 3), of_study("A", 4))
IN_ORDER = (of_study("A", 1), of_study("A", 2), of_study("B", 3), of_study("C", 4))
PATIENTS = (
    of_study("A", 1, SpecificCharacterSet="ISO_IR 100", PatientName="Müller^J A"),
    of_study("B", 2, SpecificCharacterSet="ISO_IR 100", PatientName="ÀÖØß^ñ·/..\x7f$"),
    of_study("C", 3, PatientName=""),
    of_study("D", 4, PatientName=None),
    of_study("E", 5, SpecificCharacterSet=None, PatientName="Plain^Jane^^Dr."),
)
DATES = tuple(
    of_study("A", number, SeriesDate=date)
    for number, date in enumerate(("20240229", "20240231", "20241301", "", "20240100", "2024.02.28", "19991231"), 1)
)
WITHOUT_STUDY = (of_study("A", 1, StudyInstanceUID=None), of_study("A", 2))
OF_EACH_ENCODING = tuple(
    ct(number=number, side_pixels=16, transfer_syntax=syntax)
    for number, syntax in enumerate((EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED), 1)
)


def _stored(*data_sets: FileDataset, **association: object) -> Traffic:
    """C-STORE of all of them over one association, as far as they are accepted."""

    def send(port: int, _folder: Path) -> list[str]:
        contexts = dict.fromkeys((str(each.SOPClassUID), str(each.file_meta.TransferSyntaxUID)) for each in data_sets)
        answers: list[str] = []
        with RawScu(port) as scu:
            scu.associate([Proposed(sop_class, (syntax,)) for sop_class, syntax in contexts], **association)
            accepted = {(each.abstract_syntax, each.transfer_syntax) for each in scu.accepted}
            for each in data_sets:
                sop_class, syntax = str(each.SOPClassUID), str(each.file_meta.TransferSyntaxUID)
                if (sop_class, syntax) not in accepted:
                    answers.append("not accepted")
                    continue
                response = scu.store(sop_class, str(each.SOPInstanceUID), encoded(each), syntax)
                answers.append(f"{response.status:04X}")
            scu.release()
        return answers

    return send


def _every_kind_of_element(port: int, _folder: Path) -> list[str]:
    """Data sets that are not as pydicom would write them."""
    with RawScu(port) as scu:
        scu.associate([Proposed(SECONDARY_CAPTURE, (syntax,)) for syntax in (EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED)])
        accepted = {each.transfer_syntax for each in scu.accepted}
        responses = [
            scu.store(SECONDARY_CAPTURE, f"1.2.3.{number}", each.data_set(f"1.2.3.{number}"), each.transfer_syntax)
            for number, each in enumerate(ENCODINGS)
            if each.transfer_syntax in accepted
        ]
        scu.release()
    return [*sorted(accepted), *(f"{response.status:04X}" for response in responses)]


def _padded_uids(port: int, _folder: Path) -> list[str]:
    """UIDs of data sets that end with a space, and last the same instance without."""
    made = of_study("A", 1, SOPInstanceUID="1.2.3.4.5")
    plain = encoded(made)
    answers: list[str] = []
    for uid in (b"1.2.3.4.5", SECONDARY_CAPTURE.encode()):
        padded = plain.replace(uid + b"\0", uid + b" ")
        assert padded != plain
        with RawScu(port) as scu:
            scu.associate([Proposed(SECONDARY_CAPTURE)])
            answers.append(f"{scu.store(SECONDARY_CAPTURE, '1.2.3.4.5', padded).status:04X}")
            scu.release()
    return [*answers, *_stored(made)(port, _folder)]


def compressed() -> FileDataset:
    """An instance whose pixels are what nobody looks at."""
    made = ct(side_pixels=0, transfer_syntax=JPEGLSLossless)
    made.add_new("PixelData", "OB", encapsulate([b"\xff\xd8\xff\xd9"]))
    made["PixelData"].is_undefined_length = True
    return made


def _each_alone(*data_sets: FileDataset) -> Traffic:
    """An association for each."""
    return lambda port, folder: [answer for each in data_sets for answer in _stored(each)(port, folder)]


def _negotiated(*contexts: Proposed, **association: object) -> Traffic:
    """What becomes of contexts."""

    def ask(port: int, _folder: Path) -> list[str]:
        with RawScu(port) as scu:
            try:
                scu.associate(contexts, **association)
            except Rejected as rejected:
                return ["rejected {}/{}/{}".format(*rejected.why)]
            except Ended:
                return ["ended"]
            results = [f"{uid} {results}" for uid, results in scu.results.items()]
            accepted = [f"{each.abstract_syntax} {each.transfer_syntax}" for each in scu.accepted]
            roles = [f"{uid} role {role}" for uid, role in scu.roles.items()]
            extended = [f"{uid} extended {information.hex()}" for uid, information in scu.extended.items()]
            scu.release()
        return [*results, *accepted, *roles, *extended]

    return ask


def _longest_pdu(port: int, _folder: Path) -> list[str]:
    """What a receiver says that it takes."""
    with RawScu(port) as scu:
        scu.associate([Proposed(CT_IMAGE)])
        scu.release()
        return [str(scu.peer_max_pdu_bytes)]


def _echo(port: int, _folder: Path) -> list[str]:
    with RawScu(port) as scu:
        scu.associate([Proposed(VERIFICATION)], called="ANY-SCP", calling="MODALITY")
        answer = f"{scu.echo():04X}"
        scu.release()
    return [answer]


def _cut_short(port: int, folder: Path) -> list[str]:
    """A peer aborts in the middle of an instance; another one stores."""
    made = instance(number=1)
    with RawScu(port) as scu:
        scu.associate([Proposed(SECONDARY_CAPTURE)])
        context = scu.announce_store(SECONDARY_CAPTURE, str(made.SOPInstanceUID))
        scu.send_data_set(context.context_id, encoded(made)[:100])
        scu.abort()
    return _stored(instance(number=2))(port, folder)


def _stored_until_aborted(port: int, _folder: Path) -> list[str]:
    made = instance(number=1)
    with RawScu(port) as scu:
        scu.associate([Proposed(SECONDARY_CAPTURE)])
        try:
            return [f"{scu.store(SECONDARY_CAPTURE, str(made.SOPInstanceUID), encoded(made)).status:04X}"]
        except Ended as ended:
            return ["aborted" if ended.abort else "closed"]


def _by(program: str, *options: str) -> Traffic:
    """Some instances, sent by a program of DCMTK; what it says of them."""

    def send(port: int, folder: Path) -> list[str]:
        files = [write(each, folder) for each in SOME]
        command = [Dcmtk.program(program), "-v", *options, "127.0.0.1", str(port), *files]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        said = [line for line in ran.stderr.splitlines() if "Response" in line or "Rejected" in line]
        return [str(ran.returncode), *said]

    return send


_UNCOMPRESSED = (IMPLICIT, BIG_ENDIAN, EXPLICIT)

TRAFFIC: Mapping[str, Traffic] = {
    "echo": _echo,
    "some": _stored(*SOME, calling="MODALITY"),
    "studies in order": _stored(*IN_ORDER),
    "studies by turns": _stored(*INTERLEAVED),
    "studies by turns, each alone": _each_alone(*INTERLEAVED),
    "patients": _stored(*PATIENTS),
    "dates": _stored(*DATES),
    "no study": _stored(*WITHOUT_STUDY),
    "twice": _stored(SOME[0], SOME[0]),
    "twice, each alone": _each_alone(SOME[0], SOME[0]),
    "encodings": _stored(*OF_EACH_ENCODING),
    "every kind of element": _every_kind_of_element,
    "padded UIDs": _padded_uids,
    "compressed": _stored(compressed()),
    "many small": _stored(*(instance(number=number, side_pixels=0) for number in range(40))),
    "large": _stored(ct()),
    "empty values": _stored(of_study("A", 1, StudyDate="", Modality="", PatientID=None)),
    "private class": _stored(instance(SOPClassUID=PRIVATE_CLASS)),
    "cut short": _cut_short,
    "one": _stored_until_aborted,
    "storescu": _by("storescu"),
    "storescu, all contexts": _by("storescu", "+C"),
    "dcmsend": _by("dcmsend"),
    "every transfer syntax": _negotiated(*(Proposed(CT_IMAGE, (syntax,)) for syntax in ACCEPT["all"])),
    "transfer syntaxes together": _negotiated(Proposed(CT_IMAGE, tuple(reversed(ACCEPT["all"])))),
    "uncompressed": _negotiated(Proposed(CT_IMAGE, _UNCOMPRESSED), Proposed(VERIFICATION, _UNCOMPRESSED)),
    "unknown classes": _negotiated(
        Proposed(PRIVATE_CLASS), Proposed(STUDY_ROOT_FIND), Proposed("1.2.840.10008.5.1.1.9"), Proposed(CT_IMAGE)
    ),
    "nothing to agree on": _negotiated(Proposed(STUDY_ROOT_FIND)),
    "unknown transfer syntax": _negotiated(Proposed(CT_IMAGE, ("1.2.3.4",))),
    "another title": _negotiated(Proposed(VERIFICATION), called="NOBODY"),
    "no implementation": _negotiated(Proposed(VERIFICATION), implementation_class_uid=""),
    "another application context": _negotiated(Proposed(VERIFICATION), application_context="1.2.3"),
    "roles": _negotiated(Proposed(CT_IMAGE), roles={CT_IMAGE: (1, 1)}),
    "role of an SCP": _negotiated(Proposed(CT_IMAGE), roles={CT_IMAGE: (0, 1)}),
    "role of an SCU": _negotiated(Proposed(CT_IMAGE), roles={CT_IMAGE: (1, 0)}),
    "longest PDU": _longest_pdu,
    "extended": _negotiated(Proposed(CT_IMAGE), extended={CT_IMAGE: b"\1\1"}),
}


def names(*traffic: str) -> Sequence[str]:
    """Names of traffic, which must be known."""
    assert set(traffic) <= set(TRAFFIC)
    return traffic
