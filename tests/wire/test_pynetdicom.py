"""pynetdicom as the requestor of every service, and as a destination that shows how it took things."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import build_role, evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

from tests.fix_instances import ct, encoded, instance
from tests.fix_pynetdicom import steady
from tests.wire.raw_messages import CT_IMAGE, SECONDARY_CAPTURE, STUDY_ROOT_FIND, STUDY_ROOT_GET, STUDY_ROOT_MOVE
from tests.wire.receivers import pynetdicom_scp
from tests.wire.running import Archive


@contextmanager
def associated(archive: Archive, *sop_classes: str, get: bool = False, extended: bytes = b"") -> Iterator[Association]:
    """An association by pynetdicom."""
    entity = ApplicationEntity("PYNETDICOM")
    for sop_class in sop_classes:
        entity.add_requested_context(sop_class, [ExplicitVRLittleEndian])
    negotiation: list[Any] = [build_role(each, scp_role=True) for each in (CT_IMAGE, SECONDARY_CAPTURE)] if get else []
    if extended:
        item = SOPClassExtendedNegotiation()
        item.sop_class_uid, item.service_class_application_information = STUDY_ROOT_FIND, extended
        negotiation.append(item)
    association = entity.associate(
        "127.0.0.1", archive.port, ae_title=archive.title.name, ext_neg=negotiation, evt_handlers=[]
    )
    assert association.is_established
    try:
        yield steady(association)
    finally:
        association.release()


def identifier(level: str = "STUDY", **keys: object) -> Dataset:
    data_set = Dataset()
    data_set.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(data_set, keyword, value)
    return data_set


def test_store_and_find_and_move(archive: Archive) -> None:
    data_sets = [instance(number=1), instance(number=2), ct(number=3, side_pixels=16)]
    with pynetdicom_scp() as destination:
        peer = archive.add_peer(destination.port)
        with associated(archive, SECONDARY_CAPTURE, CT_IMAGE, STUDY_ROOT_FIND, STUDY_ROOT_MOVE) as association:
            stored = [association.send_c_store(each).Status for each in data_sets]
            question = identifier(StudyInstanceUID=instance().StudyInstanceUID, NumberOfStudyRelatedInstances="")
            found = list(association.send_c_find(question, STUDY_ROOT_FIND))
            moved = list(
                association.send_c_move(identifier(StudyInstanceUID=instance().StudyInstanceUID), peer, STUDY_ROOT_MOVE)
            )

    assert stored == [0, 0, 0]
    assert [status.Status for status, _ in found] == [0xFF00, 0x0000]
    assert found[0][1] is not None
    assert found[0][1].NumberOfStudyRelatedInstances == 3
    assert [status.Status for status, _ in moved] == [0xFF00, 0xFF00, 0xFF00, 0x0000]
    assert destination.data_sets == {each.SOPInstanceUID: encoded(each) for each in data_sets}


def test_get(archive: Archive) -> None:
    data_sets = [instance(number=1), ct(number=2, side_pixels=16)]
    archive.store(*data_sets)
    received: dict[str, bytes] = {}

    def store(event: evt.Event) -> int:
        request: Any = event.request
        received[str(request.AffectedSOPInstanceUID)] = request.DataSet.getvalue()
        return 0

    with associated(archive, STUDY_ROOT_GET, CT_IMAGE, SECONDARY_CAPTURE, get=True) as association:
        association.bind(evt.EVT_C_STORE, store)
        responses = list(
            association.send_c_get(identifier(StudyInstanceUID=instance().StudyInstanceUID), STUDY_ROOT_GET)
        )

    assert responses[-1][0].Status == 0
    assert responses[-1][0].NumberOfCompletedSuboperations == 2
    assert received == {each.SOPInstanceUID: encoded(each) for each in data_sets}


def test_cancel_of_a_find(archive: Archive) -> None:
    archive.store(instance())
    archive.multiply(archive.title.area, 400)
    series = {"StudyInstanceUID": instance().StudyInstanceUID, "SeriesInstanceUID": instance().SeriesInstanceUID}

    with associated(archive, STUDY_ROOT_FIND) as association:
        question = identifier("IMAGE", **series, SOPInstanceUID="")
        statuses = []
        for status, _ in association.send_c_find(question, STUDY_ROOT_FIND, msg_id=7):
            if not statuses:
                association.send_c_cancel(7, query_model=STUDY_ROOT_FIND)
            statuses.append(status.Status)

    # All answers may be on their way before the cancel arrives: then it asks for nothing.
    assert statuses[-1] in (0xFE00, 0x0000)
    assert set(statuses[:-1]) == {0xFF00}


def test_relational_query(archive: Archive) -> None:
    archive.store(instance(Modality="OT"), ct(study=2, side_pixels=16))

    with associated(archive, STUDY_ROOT_FIND, extended=b"\1") as association:
        question = identifier("SERIES", Modality="CT", StudyInstanceUID="")
        found = [answer for status, answer in association.send_c_find(question, STUDY_ROOT_FIND) if answer]

    assert [answer.StudyInstanceUID for answer in found] == [ct(study=2).StudyInstanceUID]


def test_abort_by_the_requestor(archive: Archive) -> None:
    entity = ApplicationEntity("PYNETDICOM")
    entity.add_requested_context(STUDY_ROOT_FIND)
    association = entity.associate("127.0.0.1", archive.port, ae_title=archive.title.name)

    association.abort()

    archive.echo()
