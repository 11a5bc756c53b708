"""What an AE title is open for, and which rules let whom do what; changes count for the next association."""

import pytest

from archive.database.dialects import Connection
from archive.registry import changes, groups
from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import encoded, instance
from tests.wire.raw_messages import (
    CT_IMAGE,
    SECONDARY_CAPTURE,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
    Proposed,
    Rejected,
)
from tests.wire.raw_scu import RawScu
from tests.wire.running import Archive, Title, identifier

EVERYTHING = tuple(
    Proposed(uid) for uid in (VERIFICATION, SECONDARY_CAPTURE, STUDY_ROOT_FIND, STUDY_ROOT_MOVE, STUDY_ROOT_GET)
)
STUDY = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=instance().StudyInstanceUID)


def results(archive: Archive, title: Title, **fields: object) -> dict[str, list[int]]:
    """What is answered to each context, by abstract syntax."""
    with archive.associate(*EVERYTHING, title=title, **fields) as scu:
        scu.release()
    return scu.results


def fetched(scu: RawScu) -> dict[str, bytes]:
    return scu.get(STUDY_ROOT_GET, STUDY).data_sets


@pytest.mark.parametrize(
    "access, store, find, move, get",
    [("RW", 0, 0, 0, 0), ("R", 1, 0, 0, 0), ("W", 0, 1, 1, 1)],
)
def test_contexts_follow_the_access_of_the_title(
    archive: Archive, access: str, store: int, find: int, move: int, get: int
) -> None:
    title = archive.add_title(access)

    assert results(archive, title) == {
        VERIFICATION: [0],
        SECONDARY_CAPTURE: [store],
        STUDY_ROOT_FIND: [find],
        STUDY_ROOT_MOVE: [move],
        STUDY_ROOT_GET: [get],
    }


@pytest.mark.parametrize("proposed", [(0, 1), (1, 1)], ids=["SCP", "SCU and SCP"])
def test_d22_a_read_only_title_hands_out_by_get(archive: Archive, proposed: tuple[int, int]) -> None:
    archive.store(instance())
    title = archive.add_title("R", area=archive.title.area)
    roles = {SECONDARY_CAPTURE: proposed}

    with archive.associate(*EVERYTHING, title=title, roles=roles) as scu:
        got = fetched(scu)
        refused = scu.store(SECONDARY_CAPTURE, instance(number=2).SOPInstanceUID, encoded(instance(number=2)))
        again = fetched(scu)
        scu.release()

    assert scu.roles == {SECONDARY_CAPTURE: (0, 1)}
    assert got == again == {instance().SOPInstanceUID: encoded(instance())}
    assert refused.status == 0x0124
    assert refused.comment


def test_one_association_may_store_and_get_where_both_roles_were_agreed(archive: Archive) -> None:
    with archive.associate(*EVERYTHING, roles={SECONDARY_CAPTURE: (1, 1)}) as scu:
        stored = scu.store(SECONDARY_CAPTURE, instance().SOPInstanceUID, encoded(instance()))
        got = fetched(scu)
        scu.release()

    assert scu.roles == {SECONDARY_CAPTURE: (1, 1)}
    assert stored.status == 0
    assert got == {instance().SOPInstanceUID: encoded(instance())}


def test_storescu_at_a_read_only_title_stores_nothing(archive: Archive, dcmtk: Dcmtk, files_of) -> None:
    title = archive.add_title("R")

    ran = dcmtk.store(archive.port, *files_of(instance()), called=title.name)

    assert not ran.is_ok, ran
    assert archive.files(title.area) == []


def test_findscu_at_a_write_only_title_finds_nothing(archive: Archive, dcmtk: Dcmtk) -> None:
    title = archive.add_title("W")
    archive.store(instance(), title=title)

    ran, answers = dcmtk.find(archive.port, "QueryRetrieveLevel=STUDY", "StudyInstanceUID", called=title.name)

    assert answers == []
    assert "No presentation context" in ran.output or "No Acceptable" in ran.output, ran


def test_a_rule_added_while_running_counts_for_the_next_association(archive: Archive, dcmtk: Dcmtk) -> None:
    closed = archive.add_title(is_open=False)
    assert not dcmtk.echo(archive.port, called=closed.name, calling="NEWCOMER").is_ok

    archive.service.run("rule", "allow", "--at", closed, "--title", "NEWCOMER", "--can", "echo")

    assert dcmtk.echo(archive.port, called=closed.name, calling="NEWCOMER").is_ok
    assert not dcmtk.echo(archive.port, called=closed.name, calling="STRANGER").is_ok


def test_an_association_keeps_the_rules_it_began_with(archive: Archive) -> None:
    with archive.associate(Proposed(SECONDARY_CAPTURE)) as scu:
        archive.change(
            lambda connection: changes.add_rule(connection, archive.title.name, allows=False, network="127.0.0.0/8")
        )

        assert scu.store(SECONDARY_CAPTURE, instance().SOPInstanceUID, encoded(instance())).status == 0
        scu.release()
    with pytest.raises(Rejected) as rejected:
        archive.associate(Proposed(VERIFICATION))
    assert rejected.value.why == (1, 1, 3)


def test_operations_of_a_rule_decide_about_contexts(archive: Archive) -> None:
    title = archive.add_title(is_open=False)
    archive.change(
        lambda connection: changes.add_rule(
            connection, title.name, allows=True, calling_ae_title="SENDER", operations=("echo", "store")
        )
    )

    answered = results(archive, title, calling="SENDER")

    assert [answered[each.abstract_syntax] for each in EVERYTHING] == [[0], [0], [1], [1], [1]]


def test_a_deny_outweighs_an_allow(archive: Archive) -> None:
    archive.change(
        lambda connection: changes.add_rule(
            connection, archive.title.name, allows=False, calling_ae_title="RAWSCU", operations=("store", "move")
        )
    )

    answered = results(archive, archive.title)

    assert [answered[each.abstract_syntax] for each in EVERYTHING] == [[0], [1], [0], [1], [0]]


def test_a_peer_is_known_by_title_and_host(archive: Archive) -> None:
    title = archive.add_title(is_open=False)
    near, far = archive.add_peer(104), archive.add_peer(104, host="192.0.2.1")
    for peer in (near, far):
        archive.change(lambda connection, peer=peer: changes.add_rule(connection, title.name, allows=True, peer=peer))

    assert results(archive, title, calling=near)[VERIFICATION] == [0]
    with pytest.raises(Rejected) as rejected:
        results(archive, title, calling=far)
    assert rejected.value.why == (1, 1, 3)


def test_a_rule_for_a_group_of_groups_counts_for_a_peer_in_it(archive: Archive) -> None:
    title = archive.add_title(is_open=False)
    inside, outside = archive.add_peer(104), archive.add_peer(104)

    def work(connection: Connection) -> None:
        groups.add_group(connection, f"{title}-inner", [inside])
        groups.add_group(connection, f"{title}-outer", [f"{title}-inner"])
        changes.add_rule(connection, title.name, allows=True, group=f"{title}-outer")

    archive.change(work)

    assert results(archive, title, calling=inside)[SECONDARY_CAPTURE] == [0]
    with pytest.raises(Rejected) as rejected:
        results(archive, title, calling=outside)
    assert rejected.value.why == (1, 1, 3)


def test_a_vendor_can_be_denied_by_one_rule(archive: Archive) -> None:
    theirs, other = archive.add_peer(104), archive.add_peer(104)

    def work(connection: Connection) -> None:
        groups.add_group(connection, f"{archive.title} Medical", [theirs], is_vendor=True)
        changes.add_rule(connection, archive.title.name, allows=False, vendor=f"{archive.title} Medical")

    archive.change(work)

    assert results(archive, archive.title, calling=other)[STUDY_ROOT_GET] == [0]
    with pytest.raises(Rejected) as rejected:
        results(archive, archive.title, calling=theirs)
    assert rejected.value.why == (1, 1, 3)


def test_a_peer_that_is_a_network_may_call_from_anywhere_in_it(archive: Archive) -> None:
    title = archive.add_title(is_open=False)
    name = f"{title}-WARD"

    def work(connection: Connection) -> None:
        changes.add_peer(connection, name, "WARD", "127.0.0.0/29")
        changes.add_rule(connection, title.name, allows=True, peer=name)

    archive.change(work)

    assert results(archive, title, calling="WARD", source="127.0.0.5")[VERIFICATION] == [0]
    with pytest.raises(Rejected) as rejected:
        results(archive, title, calling="WARD", source="127.0.0.9")
    assert rejected.value.why == (1, 1, 3)


@pytest.mark.parametrize("program", ["echoscu", "storescu", "findscu", "movescu"])  # getscu prints no reason
def test_d15_a_stranger_is_refused_by_every_client_with_reason_3(
    archive: Archive, dcmtk: Dcmtk, files_of, program: str
) -> None:
    closed = archive.add_title(is_open=False)
    key = ("-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={instance().StudyInstanceUID}")
    more = {"storescu": tuple(files_of(instance())), "echoscu": ()}.get(program, ())
    before = () if program in ("echoscu", "storescu") else key

    ran = dcmtk.run(program, "-v", "-aec", closed, *before, "127.0.0.1", archive.port, *more)

    assert "Calling AE Title Not Recognized" in ran.output, ran
    assert "Result: Rejected Permanent, Source: Service User" in ran.output, ran


def test_d16_a_writer_cannot_read(archive: Archive, dcmtk: Dcmtk) -> None:
    archive.store(instance())
    writer = archive.add_title("W", area=archive.title.area)
    keys = ("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={instance().StudyInstanceUID}")

    found, answers = dcmtk.find(archive.port, *keys, called=writer.name)
    got, files = dcmtk.get(archive.port, *keys, called=writer.name)
    moved = dcmtk.move(archive.port, archive.add_peer(104), *keys, called=writer.name)

    assert (answers, files) == ([], [])
    assert "No presentation context" in found.output or "No Acceptable" in found.output, found
    assert not got.is_ok, got
    assert not moved.is_ok, moved


def test_titles_of_different_areas_do_not_see_each_other(archive: Archive) -> None:
    archive.store(instance())
    other = archive.add_title()

    with archive.associate(Proposed(STUDY_ROOT_FIND), title=other) as scu:
        responses = scu.find(STUDY_ROOT_FIND, STUDY)

    assert [each.status for each in responses] == [0]
    archive.store(instance(), title=other)  # the same instance in both is two instances
    assert archive.rows(other.area) == archive.rows(archive.title.area) == 1


def test_a_class_without_role_on_a_read_only_title_is_refused_beside_one_with(archive: Archive) -> None:
    title = archive.add_title("R")

    with archive.associate(
        Proposed(SECONDARY_CAPTURE), Proposed(CT_IMAGE), title=title, roles={CT_IMAGE: (0, 1)}
    ) as scu:
        assert scu.results == {SECONDARY_CAPTURE: [1], CT_IMAGE: [0]}
