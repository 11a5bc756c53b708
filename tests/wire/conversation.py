"""One scripted conversation with an archive, and all that it answered: held against DCMTK's dcmqrscp and against ours.

Each step is a function named for what is said; what it returns is compared. UIDs, statuses, counters and the values of
attributes are; comments, orders of answers and the titles of elements that only one of both knows are not.
"""

import inspect
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from types import ModuleType
from typing import Any

from pydicom.dataset import Dataset, FileDataset
from pydicom.filereader import read_dataset

from scripts.background import Background
from tests.fix_instances import encoded, instance
from tests.wire.raw_messages import (
    CT_IMAGE,
    DEFLATED,
    EXPLICIT,
    FIND_RQ,
    IMPLICIT,
    PATIENT_ROOT_FIND,
    PATIENT_ROOT_MOVE,
    SECONDARY_CAPTURE,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
    Ended,
    Message,
    Proposed,
    Rejected,
)
from tests.wire.raw_scu import RawScu
from tests.wire.receivers import Destination
from tests.wire.running import identifier

Step = Callable[["Peer"], Any]

# What dcmqrscp answers of each level.
_ANSWERED = {
    "PATIENT": ("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    "STUDY": ("StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "StudyID", "ReferringPhysicianName"),
    "SERIES": ("SeriesInstanceUID", "SeriesNumber", "Modality"),
    "IMAGE": ("SOPInstanceUID", "InstanceNumber"),
}


@dataclass(frozen=True)
class Peer:
    """Who talks, to whom: titles as in the configuration file of the test."""

    port: int
    destination: Destination  # known to the archive as DESTINATION
    process: Background

    @contextmanager
    def associated(self, *contexts: Proposed, called: str = "ROOMY", **fields: Any) -> Iterator[RawScu]:
        """An association that is released at the end."""
        with RawScu(self.port) as scu:
            scu.associate(contexts, called=called, **{"calling": "MODALITY"} | fields)
            yield scu
            scu.release()

    def rejected(self, called: str, calling: str) -> tuple[int, int, int] | None:
        """Result, source and reason of the rejection; None if there was none."""
        with RawScu(self.port) as scu:
            try:
                scu.associate((Proposed(VERIFICATION),), called=called, calling=calling)
            except Rejected as rejected:
                return rejected.why
            scu.release()
        return None

    def store(self, *data_sets: FileDataset, called: str = "ROOMY") -> list[int]:
        """The statuses of so many C-STOREs on one association."""
        with self.associated(Proposed(SECONDARY_CAPTURE), called=called) as scu:
            return [
                scu.store(each.SOPClassUID, each.SOPInstanceUID, encoded(each), EXPLICIT).status for each in data_sets
            ]

    def find(self, sop_class: str, level: str, *, called: str = "ROOMY", **keys: Any) -> tuple[int, list[Any]]:
        """The final status of a C-FIND, and the answers, sorted, by the attributes asked for."""
        with self.associated(Proposed(sop_class, (EXPLICIT,)), called=called) as scu:
            *answers, final = scu.find(sop_class, identifier(QueryRetrieveLevel=level, **keys))
        names = [*keys, "QueryRetrieveLevel", "RetrieveAETitle"]
        return final.status, sorted([str(_decoded(each).get(name)) for name in names] for each in answers)

    def move(self, sop_class: str, destination: str, *, called: str = "ROOMY", **keys: Any) -> list[Any]:
        """The final response of a C-MOVE: status, counters, failed UIDs; the responses before it; what arrived."""
        self.destination.received.clear()
        with self.associated(Proposed(sop_class, (EXPLICIT,)), called=called) as scu:
            *pending, final = scu.move(sop_class, identifier(**keys), destination)
        arrived = sorted(
            (each.sop_instance_uid, each.calling_title, each.originator_title) for each in self.destination.received
        )
        return [final.status, _counters(final), _failed(final), [each.status for each in pending], arrived]


def _wanted(keywords: tuple[str, ...]) -> dict[str, Any]:
    """Keys without a value: what is to be answered."""
    return dict.fromkeys(keywords)


def _decoded(message: Message) -> Dataset:
    return read_dataset(BytesIO(message.data_set or b""), is_implicit_VR=False, is_little_endian=True)


def _counters(message: Message) -> tuple[int, ...]:
    """Completed, failed, warning; a remaining count only where there is one."""
    return tuple(count for count in message.counters if count is not None)


def _failed(message: Message) -> list[str]:
    failed = _decoded(message).get("FailedSOPInstanceUIDList") if message.data_set else None
    return sorted([failed] if isinstance(failed, str) else failed or [])


def small(**keywords: Any) -> FileDataset:
    """An instance without pixels."""
    return instance(side_pixels=0, **keywords)


def study_of(data_set: Dataset) -> dict[str, Any]:
    """The identifier of its study."""
    return {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": data_set.StudyInstanceUID}


# The steps, in this order: who may enter.


def echo(peer: Peer) -> Any:
    with peer.associated(Proposed(VERIFICATION)) as scu:
        return scu.echo()


def unknown_called_title(peer: Peer) -> Any:
    return peer.rejected("NOWHERE", "MODALITY")


def called_title_in_another_case(peer: Peer) -> Any:
    return peer.rejected("roomy", "MODALITY")


def calling_title_that_is_no_peer(peer: Peer) -> Any:
    return peer.rejected("ROOMY", "STRANGER")


def calling_title_of_another_host(peer: Peer) -> Any:
    return peer.rejected("ROOMY", "ELSEWHERE")


def calling_title_of_a_group(peer: Peer) -> Any:
    return peer.rejected("GROUPED", "VIEWER")


def any_calling_title_where_any_may(peer: Peer) -> Any:
    return peer.rejected("READABLE", "STRANGER")


def unknown_application_context(peer: Peer) -> Any:
    with RawScu(peer.port) as scu:
        try:
            scu.associate(
                (Proposed(VERIFICATION),), called="ROOMY", calling="MODALITY", application_context="1.2.840.10008.9.9"
            )
        except Rejected as rejected:
            return rejected.why


# What is negotiated.


def results_of_contexts(peer: Peer) -> Any:
    contexts = (
        Proposed(VERIFICATION),
        Proposed(SECONDARY_CAPTURE),
        Proposed(STUDY_ROOT_FIND),
        Proposed("1.2.840.10008.5.1.4.31"),  # Modality Worklist: FIND
        Proposed("1.2.276.0.7230010.3.4.1915765545.18030.917282194.0"),  # DCMTK's shutdown
        Proposed(STUDY_ROOT_MOVE, ("1.2.840.10008.1.2.4.50",)),
    )
    with peer.associated(*contexts) as scu:
        return scu.results


def storage_context_without_a_common_transfer_syntax(peer: Peer) -> Any:
    with peer.associated(Proposed(CT_IMAGE, ("1.2.3.4",))) as scu:
        return scu.results


def the_first_of_our_transfer_syntaxes_is_taken(peer: Peer) -> Any:
    with peer.associated(Proposed(CT_IMAGE, (IMPLICIT, "1.2.840.10008.1.2.2", EXPLICIT))) as scu:
        return scu.context(CT_IMAGE).transfer_syntax


def storing_at_a_title_for_reading(peer: Peer) -> Any:
    with peer.associated(Proposed(SECONDARY_CAPTURE), Proposed(STUDY_ROOT_FIND), called="READABLE") as scu:
        return scu.results


def role_scp_at_a_title_for_reading(peer: Peer) -> Any:
    contexts = (Proposed(SECONDARY_CAPTURE), Proposed(STUDY_ROOT_GET))
    with peer.associated(*contexts, called="READABLE", roles={SECONDARY_CAPTURE: (0, 1)}) as scu:
        return scu.results, scu.roles


def role_scu_and_scp_at_a_title_for_reading(peer: Peer) -> Any:
    contexts = (Proposed(SECONDARY_CAPTURE), Proposed(STUDY_ROOT_GET))
    with peer.associated(*contexts, called="READABLE", roles={SECONDARY_CAPTURE: (1, 1)}) as scu:
        return scu.results[SECONDARY_CAPTURE]


# Stores.


def stores(peer: Peer) -> Any:
    first = [small(patient=1, study=study, number=number) for study in (1, 2) for number in (1, 2)]
    return peer.store(
        *first, small(patient=1, study=2, series=2), small(patient=2, study=3, Modality="MR", PatientName="Other^One")
    )


def storing_the_same_again(peer: Peer) -> Any:
    return peer.store(small(patient=1, study=1, number=1))


def storing_in_implicit_and_deflated(peer: Peer) -> Any:
    data_set = small(patient=3, study=4)
    with peer.associated(Proposed(SECONDARY_CAPTURE, (IMPLICIT,)), Proposed(CT_IMAGE, (DEFLATED,))) as scu:
        data_set = small(patient=3, study=4, transfer_syntax=IMPLICIT)
        stored = scu.store(SECONDARY_CAPTURE, data_set.SOPInstanceUID, encoded(data_set), IMPLICIT).status
        return stored, scu.results[CT_IMAGE]


def data_set_of_another_instance(peer: Peer) -> Any:
    with peer.associated(Proposed(SECONDARY_CAPTURE)) as scu:
        return scu.store(SECONDARY_CAPTURE, "1.2.3", encoded(small(study=9)), EXPLICIT).status


def data_set_of_another_class(peer: Peer) -> Any:
    data_set = small(study=9, SOPClassUID=CT_IMAGE)
    with peer.associated(Proposed(SECONDARY_CAPTURE)) as scu:
        return scu.store(SECONDARY_CAPTURE, data_set.SOPInstanceUID, encoded(data_set), EXPLICIT).status


def data_set_without_sop_instance_uid(peer: Peer) -> Any:
    with peer.associated(Proposed(SECONDARY_CAPTURE)) as scu:
        return scu.store(SECONDARY_CAPTURE, "1.2.3", encoded(small(study=9, SOPInstanceUID=None)), EXPLICIT).status


def data_set_without_study_instance_uid(peer: Peer) -> Any:
    return peer.store(small(study=9, StudyInstanceUID=None), called="GROUPED")


def data_set_that_is_none(peer: Peer) -> Any:
    with RawScu(peer.port) as scu:
        scu.associate((Proposed(SECONDARY_CAPTURE),), called="ROOMY", calling="MODALITY")
        try:
            return scu.store(SECONDARY_CAPTURE, "1.2.3", b"\xff" * 400, EXPLICIT).status
        except Ended:
            return "ended"


# Queries.


def all_patients(peer: Peer) -> Any:
    return peer.find(PATIENT_ROOT_FIND, "PATIENT", **_wanted(_ANSWERED["PATIENT"]))


def all_studies_of_study_root(peer: Peer) -> Any:
    return peer.find(STUDY_ROOT_FIND, "STUDY", **_wanted(_ANSWERED["STUDY"] + _ANSWERED["PATIENT"]))


def studies_of_a_patient(peer: Peer) -> Any:
    keys = _wanted(_ANSWERED["STUDY"]) | {"PatientID": small(patient=1).PatientID}
    return peer.find(PATIENT_ROOT_FIND, "STUDY", **keys)


def series_of_a_study(peer: Peer) -> Any:
    keys = _wanted(_ANSWERED["SERIES"]) | {"StudyInstanceUID": small(patient=1, study=2).StudyInstanceUID}
    return peer.find(STUDY_ROOT_FIND, "SERIES", **keys)


def images_of_a_series(peer: Peer) -> Any:
    held = small(patient=1, study=2)
    above = {"StudyInstanceUID": held.StudyInstanceUID, "SeriesInstanceUID": held.SeriesInstanceUID}
    return peer.find(STUDY_ROOT_FIND, "IMAGE", **_wanted(_ANSWERED["IMAGE"]) | above)


def studies_by_wild_card(peer: Peer) -> Any:
    return peer.find(STUDY_ROOT_FIND, "STUDY", StudyInstanceUID=None, PatientName="Synth*")


def studies_by_a_name_in_another_case(peer: Peer) -> Any:
    return peer.find(STUDY_ROOT_FIND, "STUDY", StudyInstanceUID=None, PatientName="SYNTH*")


def studies_by_a_range_of_dates(peer: Peer) -> Any:
    return peer.find(STUDY_ROOT_FIND, "STUDY", StudyInstanceUID=None, StudyDate="20260301-20261231")


def studies_by_a_list_of_uids(peer: Peer) -> Any:
    wanted = [small(patient=1, study=study).StudyInstanceUID for study in (1, 2)]
    return peer.find(STUDY_ROOT_FIND, "STUDY", StudyInstanceUID=wanted)


def studies_that_match_nothing(peer: Peer) -> Any:
    return peer.find(STUDY_ROOT_FIND, "STUDY", StudyInstanceUID=None, PatientID="NOBODY")


def query_without_a_level(peer: Peer) -> Any:
    with peer.associated(Proposed(STUDY_ROOT_FIND)) as scu:
        return [each.status for each in scu.find(STUDY_ROOT_FIND, identifier(StudyInstanceUID=None))]


def query_of_an_unknown_level(peer: Peer) -> Any:
    with peer.associated(Proposed(STUDY_ROOT_FIND)) as scu:
        question = identifier(QueryRetrieveLevel="FRAME", StudyInstanceUID=None)
        return [each.status for each in scu.find(STUDY_ROOT_FIND, question)]


def query_of_a_level_in_small_letters(peer: Peer) -> Any:
    question = b"\x08\x00\x52\x00CS\x06\x00study \x20\x00\x0d\x00UI\x00\x00"
    with peer.associated(Proposed(STUDY_ROOT_FIND, (EXPLICIT,))) as scu:
        return sorted(each.status for each in scu.find(STUDY_ROOT_FIND, question))


def series_query_without_a_study(peer: Peer) -> Any:
    return peer.find(STUDY_ROOT_FIND, "SERIES", SeriesInstanceUID=None)[0]


def query_of_a_key_that_is_not_kept(peer: Peer) -> Any:
    with peer.associated(Proposed(STUDY_ROOT_FIND)) as scu:
        question = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=None, PregnancyStatus=4)
        return sorted(each.status for each in scu.find(STUDY_ROOT_FIND, question))


def query_at_an_empty_title(peer: Peer) -> Any:
    return peer.find(STUDY_ROOT_FIND, "STUDY", called="READABLE", StudyInstanceUID=None)


def query_that_is_cancelled_at_once(peer: Peer) -> Any:
    with peer.associated(Proposed(STUDY_ROOT_FIND)) as scu:
        with scu.said_at_once():
            message_id = scu.ask(
                STUDY_ROOT_FIND, FIND_RQ, identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=None)
            )
            scu.cancel(STUDY_ROOT_FIND, message_id)
        return [each.status for each in scu.responses()][-1]


# Retrievals.


def move_of_a_study(peer: Peer) -> Any:
    return peer.move(STUDY_ROOT_MOVE, "DESTINATION", **study_of(small(patient=1, study=2)))


def move_of_a_patient(peer: Peer) -> Any:
    keys = {"QueryRetrieveLevel": "PATIENT", "PatientID": small(patient=1).PatientID}
    return peer.move(PATIENT_ROOT_MOVE, "DESTINATION", **keys)


def move_of_one_instance(peer: Peer) -> Any:
    held = small(patient=1, study=2)
    keys = {
        "QueryRetrieveLevel": "IMAGE",
        "StudyInstanceUID": held.StudyInstanceUID,
        "SeriesInstanceUID": held.SeriesInstanceUID,
        "SOPInstanceUID": held.SOPInstanceUID,
    }
    return peer.move(STUDY_ROOT_MOVE, "DESTINATION", **keys)


def move_of_nothing(peer: Peer) -> Any:
    return peer.move(STUDY_ROOT_MOVE, "DESTINATION", QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3")


def move_of_nothing_to_nobody(peer: Peer) -> Any:
    return peer.move(STUDY_ROOT_MOVE, "NOBODY", QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3")


def move_to_an_unknown_destination(peer: Peer) -> Any:
    return peer.move(STUDY_ROOT_MOVE, "NOBODY", **study_of(small(patient=1, study=2)))


def move_to_a_destination_that_is_not_there(peer: Peer) -> Any:
    return peer.move(STUDY_ROOT_MOVE, "ASLEEP", **study_of(small(patient=1, study=2)))


def move_without_a_key(peer: Peer) -> Any:
    return peer.move(STUDY_ROOT_MOVE, "DESTINATION", QueryRetrieveLevel="STUDY")[0]


def move_of_a_series_without_its_study(peer: Peer) -> Any:
    keys = {"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": small(patient=1, study=2).SeriesInstanceUID}
    return peer.move(STUDY_ROOT_MOVE, "DESTINATION", **keys)


def get_of_a_study(peer: Peer) -> Any:
    contexts = (Proposed(STUDY_ROOT_GET), Proposed(SECONDARY_CAPTURE))
    with peer.associated(*contexts, roles={SECONDARY_CAPTURE: (0, 1)}) as scu:
        got = scu.get(STUDY_ROOT_GET, identifier(**study_of(small(patient=1, study=2))))
    responses = [each.status for each in got.responses]
    return responses, _counters(got.final), sorted(got.data_sets)


def get_without_the_role(peer: Peer) -> Any:
    with peer.associated(Proposed(STUDY_ROOT_GET), Proposed(SECONDARY_CAPTURE)) as scu:
        got = scu.get(STUDY_ROOT_GET, identifier(**study_of(small(patient=1, study=2))))
    return got.final.status, _counters(got.final), _failed(got.final)


# Quotas: TIGHT holds two studies of 20 KB.


def the_study_stored_to_least_recently_goes(peer: Peer) -> Any:
    for study in (1, 2):
        peer.store(small(study=study, number=1), called="TIGHT")
    _let_a_second_pass()
    peer.store(small(study=1, number=2), called="TIGHT")
    _let_a_second_pass()
    statuses = peer.store(small(study=3, number=1), called="TIGHT")
    return statuses, peer.find(STUDY_ROOT_FIND, "STUDY", called="TIGHT", StudyInstanceUID=None)


def an_instance_larger_than_a_study_may_be(peer: Peer) -> Any:
    statuses = peer.store(instance(study=4, side_pixels=128), called="TIGHT")
    return statuses, peer.find(STUDY_ROOT_FIND, "STUDY", called="TIGHT", StudyInstanceUID=None)


def the_oldest_instances_of_a_study_that_grows_too_large_go(peer: Peer) -> Any:
    study = {"called": "TIGHT", "StudyInstanceUID": instance(study=5).StudyInstanceUID}
    statuses = []
    for number in range(4):
        statuses += peer.store(instance(study=5, number=number), called="TIGHT")
        _let_a_second_pass()
    series = {"SeriesInstanceUID": instance(study=5).SeriesInstanceUID, "SOPInstanceUID": None}
    return statuses, peer.find(STUDY_ROOT_FIND, "IMAGE", **study, **series)


def _let_a_second_pass() -> None:
    """By dcmqrscp's clock for evictions nothing comes after another thing of the same second."""
    threading.Event().wait(1.1)


def steps(script: ModuleType) -> Mapping[str, Step]:
    """The steps of a module by name, in their order."""
    functions = inspect.getmembers(script, inspect.isfunction)
    spoken = [
        (name, function)
        for name, function in functions
        if list(inspect.signature(function).parameters) == ["peer"] and function.__module__ == script.__name__
    ]
    return dict(sorted(spoken, key=lambda each: each[1].__code__.co_firstlineno))


def hold(with_: Peer, script: ModuleType | None = None) -> dict[str, Any]:
    """Say everything, of this conversation or another; what was answered, by step."""
    return {name: step(with_) for name, step in steps(script or sys.modules[__name__]).items()}
