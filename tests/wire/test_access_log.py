"""The access log as rows: what clients did, and who was refused what and why, is told by the tables and views."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from archive.database import transaction
from archive.dicom.uids import IMPLICIT_VR_LITTLE_ENDIAN as IMPLICIT
from archive.index import reports
from archive.registry import changes
from archive.registry.association_profiles import AssociationProfile, ProfileContext, ProfileRole
from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import encoded, instance, uid
from tests.wire.raw_messages import SECONDARY_CAPTURE, STUDY_ROOT_FIND, VERIFICATION, Proposed, Rejected
from tests.wire.running import Archive, Title, identifier

STUDY = f"StudyInstanceUID={uid('study', 1, 1)}"


def rows(archive: Archive, statement: str, **values: Any) -> list[dict[str, Any]]:
    with transaction.read(archive.database) as connection:
        return [dict(row._mapping) for row in connection.execute(text(statement), values)]


def ended(archive: Archive, title: Title, number: int = 1) -> list[dict[str, Any]]:
    """The associations at a title, once as many have ended; oldest first."""
    found: list[dict[str, Any]] = []

    def are_there() -> bool:
        statement = "SELECT * FROM associations WHERE called_ae_title = :title AND outcome <> 'open' ORDER BY pk"
        found[:] = rows(archive, statement, title=title.name)
        return len(found) >= number

    assert archive.becomes_true(are_there), found
    return found


def operations(archive: Archive, association: dict[str, Any]) -> list[dict[str, Any]]:
    return rows(archive, "SELECT * FROM operations WHERE association_pk = :pk ORDER BY pk", pk=association["pk"])


def some(row: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)


def test_what_storescu_findscu_and_getscu_did_is_told_by_rows(archive: Archive, dcmtk: Dcmtk, files_of) -> None:
    title = archive.title
    assert dcmtk.store(archive.port, *files_of(*(instance(number=n) for n in (1, 2, 3))), called=title.name).is_ok
    assert dcmtk.store(archive.port, *files_of(instance(number=3)), called=title.name).is_ok
    found, answers = dcmtk.find(archive.port, "QueryRetrieveLevel=STUDY", STUDY, called=title.name)
    got, files = dcmtk.get(archive.port, "QueryRetrieveLevel=STUDY", STUDY, called=title.name)
    assert (len(answers), len(files)) == (1, 3), f"{found}\n{got}"

    stored, again, asked, fetched = ended(archive, title, 4)

    assert some(stored, "calling_ae_title", "peer_host", "area", "outcome", "reason", "number_of_operations") == (
        "STORESCU",
        "127.0.0.1",
        title.area,
        "released",
        None,
        3,
    )
    assert stored["implementation_version_name"].startswith("OFFIS_DCMTK")
    assert stored["received_bytes"] > 3 * 64 * 64 * 2 > stored["sent_bytes"] > 0
    (store,) = operations(archive, stored)
    assert some(store, "operation", "status", "number_of_requests", "number_replaced", "number_kept") == (
        "C-STORE",
        "0000",
        3,
        0,
        0,
    )
    data_sets = sum(len(encoded(instance(number=n))) for n in (1, 2, 3))
    assert data_sets - 100 < store["size_bytes"] < data_sets + 100  # storescu writes lengths of its own
    assert [each["number_replaced"] for each in operations(archive, again)] == [1]
    (find,) = operations(archive, asked)
    assert some(find, "operation", "information_model", "level", "status", "number_of_matches", "size_bytes") == (
        "C-FIND",
        "study_root",
        "STUDY",
        "0000",
        1,
        None,
    )
    (get,) = operations(archive, fetched)
    counts = ("sub_operations_completed", "sub_operations_failed", "sub_operations_warning")
    assert some(get, "operation", "level", "status", *counts) == ("C-GET", "STUDY", "0000", 3, 0, 0)
    assert get["size_bytes"] > 3 * 64 * 64 * 2


def test_a_move_is_a_row_with_its_destination(
    archive: Archive, dcmtk: Dcmtk, start_storescp: Callable[..., Any]
) -> None:
    archive.store(instance(number=1), instance(number=2))
    receiver = start_storescp()
    destination = archive.add_peer(receiver.port)
    assert dcmtk.move(archive.port, destination, "QueryRetrieveLevel=STUDY", STUDY, called=archive.title.name).is_ok
    unknown = dcmtk.move(archive.port, "NOWHERE", "QueryRetrieveLevel=STUDY", STUDY, called=archive.title.name)
    assert not unknown.is_ok

    _, moved, refused = ended(archive, archive.title, 3)

    (move,) = operations(archive, moved)
    assert some(move, "operation", "move_destination", "status", "sub_operations_completed") == (
        "C-MOVE",
        destination,
        "0000",
        2,
    )
    (nowhere,) = operations(archive, refused)
    assert some(nowhere, "status", "move_destination", "error_comment") == (
        "A801",
        "NOWHERE",
        "NOWHERE is not a peer of ours",
    )


def refusals(archive: Archive, title: Title, number: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    def are_there() -> bool:
        statement = f"SELECT * FROM {reports.REPORTS['refusals'].view} WHERE called_ae_title = :title ORDER BY at"
        found[:] = rows(archive, statement, title=title.name)
        return len(found) >= number

    assert archive.becomes_true(are_there), found
    return found


def test_a_stranger_is_a_refusal_with_its_reason(archive: Archive, dcmtk: Dcmtk) -> None:
    closed = archive.add_title(is_open=False)
    assert not dcmtk.echo(archive.port, called=closed.name, calling="STRANGER").is_ok

    (refusal,) = refusals(archive, closed, 1)

    assert some(refusal, "calling_ae_title", "peer_host", "event", "outcome", "status") == (
        "STRANGER",
        "127.0.0.1",
        "association",
        "rejected",
        "1/1/3",
    )
    assert refusal["reason"] == f"no rule at {closed.name} lets STRANGER from 127.0.0.1 echo"


def test_a_title_that_is_not_ours_is_a_refusal_with_its_reason(archive: Archive) -> None:
    nobody = Title(f"NO{archive.title}", "", Path())
    with pytest.raises(Rejected):
        archive.associate(Proposed(VERIFICATION), title=nobody)

    (refusal,) = refusals(archive, nobody, 1)

    assert some(refusal, "status", "reason") == ("1/1/7", f"{nobody} is not one of our AE titles")


def test_what_a_reader_may_not_store_is_a_refusal_with_its_reason(archive: Archive, dcmtk: Dcmtk, files_of) -> None:
    title = archive.add_title("R")
    assert not dcmtk.store(archive.port, *files_of(instance()), called=title.name).is_ok

    (refusal,) = refusals(archive, title, 1)

    assert some(refusal, "calling_ae_title", "event", "detail", "reason") == (
        "STORESCU",
        "contexts",
        "store",
        f"store: {title} is open for R only: nothing can be stored",
    )


def test_what_a_writer_may_not_read_is_one_refusal(archive: Archive) -> None:
    title = archive.add_title("W")
    with archive.associate(title=title, roles={SECONDARY_CAPTURE: (0, 1)}) as scu:
        scu.release()

    (refusal,) = refusals(archive, title, 1)
    (association,) = ended(archive, title)

    assert some(refusal, "event", "detail", "number") == ("contexts", "find,get,move", 1)
    assert refusal["reason"].count("is open for W only: nothing can be read") == 3
    assert some(association, "contexts_accepted", "contexts_refused", "outcome") == (1, 3, "released")


def test_what_asks_for_no_association_is_told_only_if_it_says_something(
    start_own_archive: Callable[..., Archive],
) -> None:
    archive = start_own_archive()
    with socket.create_connection(("127.0.0.1", archive.port)) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        stranger.recv(100)
    with socket.create_connection(("127.0.0.1", archive.port)):
        pass  # as a health check does
    assert archive.becomes_true(lambda: archive.associations() == 0)
    archive.echo()
    ended(archive, archive.title)  # whose row is written last

    told = rows(archive, "SELECT peer_host, outcome, reason FROM associations WHERE called_ae_title = ''")
    assert [some(each, "peer_host", "outcome") for each in told] == [("127.0.0.1", "aborted")]
    assert told[0]["reason"].startswith("A PDU has a type that PS3.8 does not know.")


def test_a_query_that_cannot_be_answered_is_a_refusal(archive: Archive) -> None:
    with archive.associate() as scu:
        scu.find(STUDY_ROOT_FIND, identifier(QueryRetrieveLevel="NOWHERE", StudyInstanceUID=None))
        scu.release()

    (refusal,) = refusals(archive, archive.title, 1)

    assert some(refusal, "event", "status") == ("C-FIND", "C000")
    assert "level" in refusal["reason"].lower()


def test_what_a_profile_keeps_from_a_caller_is_a_refusal_that_says_so(archive: Archive) -> None:
    title = archive.add_title()
    context = ProfileContext(SECONDARY_CAPTURE, (IMPLICIT,))
    profile = AssociationProfile("SendsOnly", (context,), (ProfileRole(SECONDARY_CAPTURE, is_scu=False, is_scp=True),))
    archive.change(lambda connection: changes.put_profile(connection, profile))
    archive.set_title(title, profile="SendsOnly")
    archive.associate(Proposed(SECONDARY_CAPTURE, (IMPLICIT,)), title=title).release()

    (refusal,) = refusals(archive, title, 1)

    assert some(refusal, "event", "detail", "reason") == (
        "contexts",
        "store",
        f"store: the association profile of {title} does not give it that role",
    )


def test_a_refused_operation_is_a_refusal_with_what_the_peer_was_told(archive: Archive) -> None:
    title = archive.add_title("R")
    with archive.associate(
        Proposed(SECONDARY_CAPTURE), title=title, roles={SECONDARY_CAPTURE: (0, 1)}, calling="WRONGROLE"
    ) as scu:
        assert scu.store(SECONDARY_CAPTURE, instance().SOPInstanceUID, encoded(instance())).status == 0x0124
        scu.release()

    (refusal,) = refusals(archive, title, 1)

    assert some(refusal, "calling_ae_title", "event", "status", "number") == ("WRONGROLE", "C-STORE", "0124", 1)
    assert refusal["reason"]


def test_a_running_association_is_told_before_it_ends(archive: Archive) -> None:
    with archive.associate(Proposed(SECONDARY_CAPTURE)) as scu:
        assert scu.store(SECONDARY_CAPTURE, instance().SOPInstanceUID, encoded(instance())).status == 0
        statement = (
            "SELECT outcome, a.ended_at, o.number_of_requests FROM associations a"
            " JOIN operations o ON o.association_pk = a.pk WHERE called_ae_title = :title"
        )
        title = archive.title.name
        assert archive.becomes_true(lambda: len(rows(archive, statement, title=title)) == 1)
        before = rows(archive, statement, title=title)
        assert scu.store(SECONDARY_CAPTURE, instance(number=2).SOPInstanceUID, encoded(instance(number=2))).status == 0
        scu.release()

    ended(archive, archive.title)

    assert before == [{"outcome": "open", "ended_at": None, "number_of_requests": 1}]
    assert [some(each, "outcome", "number_of_requests") for each in rows(archive, statement, title=title)] == [
        ("released", 2)
    ]


def test_a_peer_that_breaks_off_leaves_an_aborted_association(archive: Archive) -> None:
    with archive.associate() as scu:
        scu.find(STUDY_ROOT_FIND, identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=None))
        scu.socket.close()

    (association,) = ended(archive, archive.title)

    assert some(association, "outcome", "reason") == ("aborted", "The connection ended without a release.")
    assert [each["status"] for each in operations(archive, association)] == ["0000"]


def test_what_was_received_is_counted_by_day_sender_and_modality(archive: Archive, dcmtk: Dcmtk, files_of) -> None:
    title = archive.title
    assert dcmtk.store(archive.port, *files_of(instance(number=1), instance(number=2)), called=title.name).is_ok
    archive.store(instance(number=3, series=2, Modality="CT"))
    statement = (
        f"SELECT source_ae_title, modality, number_of_instances FROM {reports.REPORTS['received'].view}"
        " WHERE area = :area ORDER BY modality"
    )

    assert archive.becomes_true(lambda: len(rows(archive, statement, area=title.area)) == 2)
    assert archive.becomes_true(
        lambda: (
            [tuple(each.values()) for each in rows(archive, statement, area=title.area)]
            == [("RAWSCU", "CT", 1), ("STORESCU", "OT", 2)]
        )
    )


def test_a_stop_writes_what_is_left(start_own_archive: Callable[..., Archive]) -> None:
    archive = start_own_archive(workers=2)
    for number in range(20):
        archive.store(instance(number=number))
    archive.service.stop()

    counted = rows(archive, "SELECT outcome, count(*) AS n FROM associations GROUP BY outcome")
    stored = rows(archive, "SELECT sum(number_of_requests) AS n FROM operations WHERE operation = 'C-STORE'")
    received = rows(archive, "SELECT sum(number_of_instances) AS n FROM received_by_day")

    assert counted == [{"outcome": "released", "n": 20}]
    assert (int(stored[0]["n"]), int(received[0]["n"])) == (20, 20)


@pytest.mark.crash
def test_what_a_killed_worker_left_open_is_lost(start_own_archive: Callable[..., Archive]) -> None:
    archive = start_own_archive()
    with archive.associate(Proposed(VERIFICATION)):
        open_ones = "SELECT count(*) AS n FROM associations WHERE outcome = 'open'"
        assert archive.becomes_true(lambda: rows(archive, open_ones) == [{"n": 1}])
        archive.service.kill_worker()
        lost = "SELECT outcome, reason FROM associations"
        assert archive.becomes_true(
            lambda: rows(archive, lost) == [{"outcome": "lost", "reason": "The process that served it ended"}]
        )
