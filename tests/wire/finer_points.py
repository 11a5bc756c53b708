"""A second conversation for dcmqrscp and ours: the finer points of matching, answers, retrievals and configuration.

The first is `conversation`; what is compared is the same. Questions of one kind stand in a table, and a step asks all.
"""

import threading
import warnings
from io import BytesIO
from typing import Any

from pydicom.filereader import read_dataset
from pynetdicom.events import Event

from tests.fix_instances import encoded, uid
from tests.wire.conversation import Peer, small, study_of
from tests.wire.raw_messages import (
    CT_IMAGE,
    EXPLICIT,
    FIND_RQ,
    MOVE_RQ,
    PATIENT_ROOT_FIND,
    PATIENT_ROOT_MOVE,
    SECONDARY_CAPTURE,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
    Proposed,
    Rejected,
)
from tests.wire.running import identifier

PATIENT_STUDY_ONLY_FIND, PATIENT_STUDY_ONLY_MOVE = "1.2.840.10008.5.1.4.1.2.3.1", "1.2.840.10008.5.1.4.1.2.3.2"

CONFIGURATION = """\
NetworkTCPPort  = {port}
MaxPDUSize      = 16384
MaxAssociations = 16
HostTable BEGIN
modality    = (MODALITY, localhost, 5001)
viewer      = (VIEWER, localhost, 5002)
destination = (DESTINATION, localhost, {destination})
asleep      = (ASLEEP, localhost, {asleep})
twice       = (TWICE, localhost, {asleep})
HostTable END
VendorTable BEGIN
"Acme" = modality, destination, (UNHEARD, localhost, {destination})
VendorTable END
AETable BEGIN
ROOMY     {folder}/roomy     RW  (200, 1024mb)  modality, destination
GROUPED   {folder}/grouped   RW  (200, 1024mb)  modality
LOWER     {folder}/lower     rw  (200, 1024mb)  ANY
WRITABLE  {folder}/writable  W   (200, 1024mb)  ANY
TWOFOLD   {folder}/twofold   R   (200, 1024mb)  modality
TWOFOLD   {folder}/other     RW  (200, 1024mb)  viewer
TIGHT     {folder}/tight     RW  (2, 20kb)      modality, (TWICE, localhost, {destination})
AETable END
"""

_DOE = {"patient": 1, "PatientID": "Pa7", "PatientName": "Doe^John", "OtherPatientIDs": ["X1", "X2"]}
_ROE = {"patient": 3, "PatientID": "Pc7", "PatientName": "Roe^Jane^^"}
HELD = (
    small(
        **_DOE,
        StudyDate="20260102",
        StudyTime="101010",
        StudyID="Ab",
        AccessionNumber="A*1",
        PatientAge="045Y",
        PatientWeight="70.50",
        Modality="CT",
        InstanceNumber="2",
    ),
    small(**_DOE, series=2, StudyTime="101010", Modality="MR", SeriesNumber="02"),
    small(
        patient=2, study=2, PatientID="Pb7", PatientName="Doe John", StudyDate="", StudyTime="11", AccessionNumber="AX1"
    ),
    small(**_ROE, study=3, StudyDate="20261231", StudyTime="113000.5"),
    small(**_ROE, study=4, StudyDate="20270101", StudyTime=None),
)
STUDIES = {str(each.StudyInstanceUID): number for number, each in zip((1, 1, 2, 3, 4), HELD, strict=True)}


def answer_by_instance_number(event: Event, before: int) -> int:
    """What the destination answers: an Instance Number that is a status is that."""
    number = int(event.dataset.get("InstanceNumber") or 0)
    return number if number > 100 else 0


def hold_everything(peer: Peer) -> Any:
    return peer.store(*HELD)


# Matching at the STUDY level of Study Root: which studies are answered.

MATCHES: dict[str, dict[str, Any]] = {
    "date": {"StudyDate": "20260102"},
    "date with full stops": {"StudyDate": "2026.01.02"},
    "dates from to": {"StudyDate": "20260101-20261231"},
    "dates up to": {"StudyDate": "-20260102"},
    "dates since": {"StudyDate": "20261231-"},
    "any date": {"StudyDate": "-"},
    "date with a wild card": {"StudyDate": "2026*"},
    "time": {"StudyTime": "101010"},
    "time of hours and minutes": {"StudyTime": "1010"},
    "time of an hour": {"StudyTime": "11"},
    "time of the whole hour": {"StudyTime": "110000"},
    "time with colons": {"StudyTime": "10:10:10"},
    "times of hours": {"StudyTime": "10-11"},
    "times up to a minute": {"StudyTime": "10-1130"},
    "times up to a second": {"StudyTime": "10-113000"},
    "times since": {"StudyTime": "11-"},
    "times until": {"StudyTime": "-101010"},
    "any time": {"StudyTime": "-"},
    "time with a wild card": {"StudyTime": "10*"},
    "date and time apart": {"StudyDate": "20260101-20261231", "StudyTime": "10-11"},
    "uid": {"StudyInstanceUID": str(HELD[0].StudyInstanceUID)},
    "uid list": {"StudyInstanceUID": [str(HELD[0].StudyInstanceUID), str(HELD[3].StudyInstanceUID), "1.2"]},
    "uid with a wild card": {"StudyInstanceUID": "2.25.*"},
    "identifier": {"PatientID": "Pa7"},
    "identifier in another case": {"PatientID": "pa7"},
    "identifier with spaces": {"PatientID": "  Pa7  "},
    "identifier with a star": {"PatientID": "P*7"},
    "identifier with a question mark": {"PatientID": "P?7"},
    "identifier of a pattern in another case": {"PatientID": "p*"},
    "stored star": {"AccessionNumber": "A*1"},
    "code string": {"StudyID": "Ab"},
    "code string in another case": {"StudyID": "AB"},
    "age": {"PatientAge": "045Y"},
    "age with a wild card": {"PatientAge": "0*"},
    "decimal as stored": {"PatientWeight": "70.50"},
    "decimal otherwise": {"PatientWeight": "70.5"},
    "name": {"PatientName": "Doe^John"},
    "name with empty components": {"PatientName": "Doe^John^^"},
    "name stored with empty components": {"PatientName": "Roe^Jane"},
    "name with a space": {"PatientName": "Doe John"},
    "name by its beginning": {"PatientName": "Doe*"},
    "name in another case": {"PatientName": "doe*"},
    "second of several values": {"OtherPatientIDs": "X2"},
    "all of several values": {"OtherPatientIDs": ["X1", "X2"]},
    "pattern over several values": {"OtherPatientIDs": "*X2"},
    "two keys": {"PatientID": "Pa7", "StudyTime": "11"},
    "nobody": {"PatientID": "Pc7"},
    "a key of the series": {"Modality": "MR"},
}


def matches(peer: Peer) -> Any:
    with warnings.catch_warnings(action="ignore"):  # some values are odd on purpose
        return {name: _studies(peer, **keys) for name, keys in MATCHES.items()}


def _studies(peer: Peer, **keys: Any) -> Any:
    keys = {"StudyInstanceUID": None} | keys  # the first of each answer
    status, answers = peer.find(STUDY_ROOT_FIND, "STUDY", called="ROOMY", **keys)
    return status, sorted(STUDIES[answer[0]] for answer in answers)


# Keys of the levels above and below: the model, the level, the keys; which answers.

FIRST = {"StudyInstanceUID": str(HELD[0].StudyInstanceUID)}
SERIES = FIRST | {"SeriesInstanceUID": str(HELD[0].SeriesInstanceUID)}
QUERIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "pattern above": (PATIENT_ROOT_FIND, "STUDY", {"PatientID": "Pa*", "StudyInstanceUID": None}),
    "empty above": (PATIENT_ROOT_FIND, "STUDY", {"PatientID": None, "StudyInstanceUID": None}),
    "missing above": (PATIENT_ROOT_FIND, "STUDY", {"StudyInstanceUID": None}),
    "uid list above": (
        STUDY_ROOT_FIND,
        "SERIES",
        {"StudyInstanceUID": [*STUDIES][:2], "SeriesInstanceUID": None, "Modality": None},
    ),
    "all studies above": (STUDY_ROOT_FIND, "SERIES", {"StudyInstanceUID": None, "SeriesInstanceUID": None}),
    "another key above": (STUDY_ROOT_FIND, "SERIES", FIRST | {"SeriesInstanceUID": None, "PatientName": "Nobody"}),
    "modality": (STUDY_ROOT_FIND, "SERIES", FIRST | {"SeriesInstanceUID": None, "Modality": "M*"}),
    "series number as stored": (STUDY_ROOT_FIND, "SERIES", FIRST | {"SeriesNumber": "02"}),
    "series number otherwise": (STUDY_ROOT_FIND, "SERIES", FIRST | {"SeriesNumber": "2"}),
    "instance number": (STUDY_ROOT_FIND, "IMAGE", SERIES | {"SOPInstanceUID": None, "InstanceNumber": "2"}),
    "instance number otherwise": (STUDY_ROOT_FIND, "IMAGE", SERIES | {"InstanceNumber": "02"}),
    "images without their series": (STUDY_ROOT_FIND, "IMAGE", FIRST | {"SOPInstanceUID": None}),
    "values of the patient in a series": (STUDY_ROOT_FIND, "SERIES", FIRST | {"PatientID": None, "StudyTime": None}),
    "patients": (PATIENT_STUDY_ONLY_FIND, "PATIENT", {"PatientID": None, "PatientName": None}),
    "studies of patient/study only": (
        PATIENT_STUDY_ONLY_FIND,
        "STUDY",
        {"PatientID": "Pa7", "StudyInstanceUID": None},
    ),
    "series of patient/study only": (
        PATIENT_STUDY_ONLY_FIND,
        "SERIES",
        {"PatientID": "Pa7"} | FIRST | {"SeriesInstanceUID": None},
    ),
    "patients of study root": (STUDY_ROOT_FIND, "PATIENT", {"PatientID": None}),
    "a level by its beginning": (STUDY_ROOT_FIND, "STUDYX", {"StudyInstanceUID": None}),
    "a key below": (STUDY_ROOT_FIND, "STUDY", FIRST | {"Modality": None}),
    "what is not held": (STUDY_ROOT_FIND, "STUDY", FIRST | {"PregnancyStatus": None}),
}


def queries(peer: Peer) -> Any:
    with warnings.catch_warnings(action="ignore"):  # one level word is odd on purpose
        return {name: peer.find(model, level, **keys) for name, (model, level, keys) in QUERIES.items()}


def elements_of_an_answer(peer: Peer) -> Any:
    return _elements(peer, StudyInstanceUID=None, StudyTime=None)


def elements_of_an_answer_without_a_unique_key(peer: Peer) -> Any:
    return _elements(peer, StudyDate=None)


def value_that_there_is_not(peer: Peer) -> Any:
    with peer.associated(Proposed(STUDY_ROOT_FIND, (EXPLICIT,))) as scu:
        question = identifier(QueryRetrieveLevel="STUDY", ReferringPhysicianName=None, **FIRST)
        answer, _ = scu.find(STUDY_ROOT_FIND, question)
    return read_dataset(BytesIO(answer.data_set or b""), is_implicit_VR=False, is_little_endian=True).to_json_dict()


def _elements(peer: Peer, **keys: Any) -> Any:
    with peer.associated(Proposed(STUDY_ROOT_FIND, (EXPLICIT,))) as scu:
        answer, *_ = scu.find(STUDY_ROOT_FIND, identifier(QueryRetrieveLevel="STUDY", **keys))
    found = read_dataset(BytesIO(answer.data_set or b""), is_implicit_VR=False, is_little_endian=True)
    return sorted(element.keyword for element in found)


# Requests that name another SOP Class than their context.


def query_by_another_class(peer: Peer) -> Any:
    return _asked_by(peer, STUDY_ROOT_FIND, FIND_RQ, SECONDARY_CAPTURE)


def retrieve_by_another_class(peer: Peer) -> Any:
    return _asked_by(peer, STUDY_ROOT_MOVE, MOVE_RQ, SECONDARY_CAPTURE, {0x0600: "DESTINATION"})


def _asked_by(peer: Peer, context: str, command: int, named: str, more: dict[int, str] | None = None) -> Any:
    with peer.associated(Proposed(context)) as scu:
        elements = {0x0002: named, 0x0100: command, 0x0110: 1, 0x0700: 0, 0x0800: 1} | (more or {})
        scu.send_command(1, elements)
        scu.send_data_set(1, identifier(QueryRetrieveLevel="STUDY", **FIRST))
        return scu.receive().status


# Retrievals: the final response, the responses before it and what arrived.

MOVES: dict[str, tuple[str, dict[str, Any]]] = {
    "patient by a pattern": (PATIENT_ROOT_MOVE, {"QueryRetrieveLevel": "PATIENT", "PatientID": "Pa*"}),
    "studies by a list": (
        STUDY_ROOT_MOVE,
        {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": [*STUDIES][:2]},
    ),
    "study, narrowed by a name": (
        STUDY_ROOT_MOVE,
        {"QueryRetrieveLevel": "STUDY", "PatientName": "Roe*"} | FIRST,
    ),
    "study of another patient": (
        PATIENT_ROOT_MOVE,
        {"QueryRetrieveLevel": "STUDY", "PatientID": "Pb7"} | FIRST,
    ),
    "series": (STUDY_ROOT_MOVE, {"QueryRetrieveLevel": "SERIES"} | SERIES),
    "image by its uid alone": (
        STUDY_ROOT_MOVE,
        {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": str(HELD[0].SOPInstanceUID)},
    ),
    "study by the patient's name": (STUDY_ROOT_MOVE, {"QueryRetrieveLevel": "STUDY", "PatientName": "Roe*"}),
    "patient of study root": (STUDY_ROOT_MOVE, {"QueryRetrieveLevel": "PATIENT", "PatientID": "Pa7"}),
    "series of patient/study only": (
        PATIENT_STUDY_ONLY_MOVE,
        {"QueryRetrieveLevel": "SERIES", "PatientID": "Pa7"} | SERIES,
    ),
    "without a level": (STUDY_ROOT_MOVE, FIRST),
    "level that there is not": (STUDY_ROOT_MOVE, {"QueryRetrieveLevel": "FRAME"} | FIRST),
}


def moves(peer: Peer) -> Any:
    return {name: peer.move(model, "DESTINATION", **keys) for name, (model, keys) in MOVES.items()}


def move_to_a_title_of_two_addresses(peer: Peer) -> Any:
    return peer.move(STUDY_ROOT_MOVE, "TWICE", **study_of(HELD[2]))


def move_to_a_title_of_a_vendor_only(peer: Peer) -> Any:
    return peer.move(STUDY_ROOT_MOVE, "UNHEARD", **study_of(HELD[2]))


def what_a_destination_is_told(peer: Peer) -> Any:
    peer.destination.received.clear()
    with peer.associated(Proposed(VERIFICATION), Proposed(STUDY_ROOT_MOVE)) as scu:
        scu.echo()
        scu.move(STUDY_ROOT_MOVE, identifier(**study_of(HELD[0])), "DESTINATION", priority=2)
    return [
        (each.message_id, each.priority, each.originator_title, each.originator_message_id, each.calling_title)
        for each in peer.destination.received
    ]


def move_of_failures_warnings_and_successes(peer: Peer) -> Any:
    return peer.move(STUDY_ROOT_MOVE, "DESTINATION", **_with_answers(peer, 30, 1, 0xA700, 0xB000, 0xB006, 0xC123))


def move_of_warnings_only(peer: Peer) -> Any:
    return peer.move(STUDY_ROOT_MOVE, "DESTINATION", **_with_answers(peer, 31, 0xB000, 0xB007))


def move_of_failures_only(peer: Peer) -> Any:
    return peer.move(STUDY_ROOT_MOVE, "DESTINATION", **_with_answers(peer, 32, 0xA700, 0xC123))


def move_of_failures_and_warnings(peer: Peer) -> Any:
    return peer.move(STUDY_ROOT_MOVE, "DESTINATION", **_with_answers(peer, 33, 0xA700, 0xB000))


def move_of_warnings_of_other_services(peer: Peer) -> Any:
    return peer.move(STUDY_ROOT_MOVE, "DESTINATION", **_with_answers(peer, 34, 0x0107, 0x0116, 0x0001))


def _with_answers(peer: Peer, study: int, *statuses: int) -> dict[str, Any]:
    """Store an instance for each status, which the destination will answer; the keys to move them all."""
    data_sets = [small(study=study, number=number, InstanceNumber=str(number)) for number in statuses]
    assert set(peer.store(*data_sets)) == {0}
    return study_of(data_sets[0])


def gets(peer: Peer) -> Any:
    found = {}
    for name, status in {"taken": 0, "warned": 0xB000, "failed": 0xA700}.items():
        contexts = (Proposed(STUDY_ROOT_GET), Proposed(SECONDARY_CAPTURE))
        with peer.associated(*contexts, roles={SECONDARY_CAPTURE: (1, 1)}) as scu:
            got = scu.get(STUDY_ROOT_GET, identifier(**study_of(HELD[0])), status=status)
        final = got.final
        found[name] = (
            [each.status for each in got.responses],
            final.counters,
            final.data_set is not None,
            [(each.number(0x0110), each.number(0x0700), each.elements.get(0x1030)) for each in got.requests],
        )
    return found


# Stores.


def store_by_another_class(peer: Peer) -> Any:
    data_set = small(study=9)
    with peer.associated(Proposed(CT_IMAGE)) as scu:
        elements = {0x0002: SECONDARY_CAPTURE, 0x0100: 1, 0x0110: 1, 0x0700: 0, 0x0800: 1}
        scu.send_command(1, elements | {0x1000: str(data_set.SOPInstanceUID)})
        scu.send_data_set(1, encoded(data_set))
        return scu.receive().status


def store_by_a_class_that_stores_nothing(peer: Peer) -> Any:
    data_set = small(study=9, SOPClassUID=VERIFICATION)
    with peer.associated(Proposed(VERIFICATION)) as scu:
        return scu.store(VERIFICATION, data_set.SOPInstanceUID, encoded(data_set)).status


def store_without_a_patient(peer: Peer) -> Any:
    return peer.store(small(study=40, PatientID=None, PatientName=None)), peer.find(
        STUDY_ROOT_FIND, "STUDY", PatientID=None, StudyInstanceUID=str(small(study=40).StudyInstanceUID)
    )


def store_without_a_series(peer: Peer) -> Any:
    return peer.store(small(study=41, SeriesInstanceUID=None), called="GROUPED")


def study_of_two_patients(peer: Peer) -> Any:
    peer.store(small(study=42, number=1, PatientID="Pc7"), small(study=42, number=2, PatientID="Pd7"))
    keys = {"PatientID": None, "StudyInstanceUID": str(small(study=42).StudyInstanceUID)}
    return peer.find(STUDY_ROOT_FIND, "STUDY", **keys)


# Titles and access.


def titles(peer: Peer) -> Any:
    return {
        f"{calling} at {called}": peer.rejected(called, calling)
        for called, calling in (
            ("ROOMY", "modality"),
            ("ROOMY", " MODALITY"),
            (" ROOMY", "MODALITY"),
            ("TWOFOLD", "MODALITY"),
            ("TWOFOLD", "VIEWER"),
            ("TWOFOLD", "DESTINATION"),
            ("ROOMY", "UNHEARD"),
        )
    }


def access_word_in_small_letters(peer: Peer) -> Any:
    with peer.associated(Proposed(SECONDARY_CAPTURE), Proposed(STUDY_ROOT_FIND), called="LOWER") as scu:
        return scu.results


def access_of_the_first_of_two_lines(peer: Peer) -> Any:
    with peer.associated(Proposed(SECONDARY_CAPTURE), called="TWOFOLD") as scu:
        return scu.results


def access_to_write_only(peer: Peer) -> Any:
    with peer.associated(
        Proposed(SECONDARY_CAPTURE), Proposed(STUDY_ROOT_FIND), Proposed(STUDY_ROOT_MOVE), called="WRITABLE"
    ) as scu:
        return scu.results


# Several things wrong at once: which of them is told.


def order_of_refusals(peer: Peer) -> Any:
    unknown = (Proposed("1.2.3"),)
    return {
        "unknown title, stranger": _refused(peer, called="NOWHERE", calling="STRANGER"),
        "unknown title, wrong context": _refused(peer, called="NOWHERE", application_context="1.2.3"),
        "stranger, wrong context": _refused(peer, calling="STRANGER", application_context="1.2.3"),
        "stranger, nothing that is known": _refused(peer, unknown, calling="STRANGER"),
    }


def _refused(peer: Peer, contexts: tuple[Proposed, ...] = (Proposed(VERIFICATION),), **fields: str) -> Any:
    try:
        with peer.associated(*contexts, **fields) as scu:
            return scu.results
    except Rejected as rejected:
        return rejected.why


# Quotas.


def storing_again_counts_as_storing(peer: Peer) -> Any:
    """TIGHT holds two studies."""
    peer.store(small(study=1), small(study=2), called="TIGHT")
    _let_a_second_pass()
    peer.store(small(study=1), called="TIGHT")
    _let_a_second_pass()
    statuses = peer.store(small(study=3), called="TIGHT")
    status, answers = peer.find(STUDY_ROOT_FIND, "STUDY", called="TIGHT", StudyInstanceUID=None)
    return statuses, status, [answer[0] == uid("study", 1, 1) for answer in answers].count(True)


def _let_a_second_pass() -> None:
    """By dcmqrscp's clock for evictions nothing comes after another thing of the same second."""
    threading.Event().wait(1.1)
