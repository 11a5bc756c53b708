"""What an AE title holds associations to, whoever calls: models, roles, who stores beside whom, how many there are."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from archive.query.model import SOP_CLASSES, Model, Operation
from archive.registry import changes
from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import encoded, instance
from tests.wire.raw_messages import (
    CT_IMAGE,
    PATIENT_ROOT_FIND,
    PATIENT_ROOT_GET,
    PATIENT_ROOT_MOVE,
    SECONDARY_CAPTURE,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
    Proposed,
    Rejected,
)
from tests.wire.raw_scu import RawScu
from tests.wire.running import Archive, Title

Start = Callable[..., Archive]

MODELS = {
    "allows_patient_root": Model.PATIENT_ROOT,
    "allows_study_root": Model.STUDY_ROOT,
    "allows_patient_study_only": Model.PATIENT_STUDY_ONLY,
}


def results(archive: Archive, *sop_classes: str, **fields: Any) -> list[int]:
    """What is answered to contexts of these classes."""
    with archive.associate(*map(Proposed, sop_classes), **fields) as scu:
        scu.release()
    return [scu.results[uid][0] for uid in sop_classes]


def rejection(archive: Archive, title: Title | None = None, **fields: object) -> tuple[int, int, int]:
    with pytest.raises(Rejected) as rejected:
        archive.associate(Proposed(VERIFICATION), title=title, **fields)
    return rejected.value.why


# Models and C-GET


@pytest.mark.parametrize("column", MODELS)
def test_a_model_that_is_off_gets_result_3_and_the_others_do_not(archive: Archive, column: str) -> None:
    archive.set_title(archive.title, **{column: False})

    answered = results(archive, *SOP_CLASSES)

    expected = [3 if model is MODELS[column] else 0 for model, _ in SOP_CLASSES.values()]
    assert answered == expected


def test_get_that_is_off_gets_result_3_in_every_model(archive: Archive) -> None:
    archive.set_title(archive.title, allows_get=False)

    answered = results(archive, *SOP_CLASSES)

    assert answered == [3 if operation is Operation.GET else 0 for _, operation in SOP_CLASSES.values()]


@pytest.mark.parametrize("role", [(1, 0), (0, 1), (1, 1)], ids=["SCU", "SCP", "both"])
@pytest.mark.parametrize("access, result", [("RW", 0), ("R", 1)])
def test_without_get_storage_contexts_are_in_the_default_role(
    archive: Archive, access: str, result: int, role: tuple[int, int]
) -> None:
    title = archive.add_title(access)
    archive.set_title(title, allows_get=False)

    with archive.associate(Proposed(SECONDARY_CAPTURE), title=title, roles={SECONDARY_CAPTURE: role}) as scu:
        assert scu.results == {SECONDARY_CAPTURE: [result]}
        assert scu.roles == {}
        if result == 0:
            assert scu.store(SECONDARY_CAPTURE, instance().SOPInstanceUID, encoded(instance())).status == 0
        scu.release()


def test_getscu_gets_nothing_where_get_is_off(archive: Archive, dcmtk: Dcmtk) -> None:
    archive.store(instance())
    archive.set_title(archive.title, allows_get=False)
    keys = ("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={instance().StudyInstanceUID}")

    ran, files = dcmtk.get(archive.port, *keys, called=archive.title.name)

    assert not ran.is_ok, ran
    assert files == []


# C-FIND beside C-MOVE and C-GET


@pytest.mark.parametrize(
    "proposed, answered",
    [
        pytest.param((STUDY_ROOT_MOVE, STUDY_ROOT_GET), [1, 1], id="no find"),
        pytest.param((STUDY_ROOT_MOVE, STUDY_ROOT_GET, STUDY_ROOT_FIND), [0, 0, 0], id="find behind"),
        pytest.param((PATIENT_ROOT_FIND, STUDY_ROOT_MOVE, STUDY_ROOT_GET), [0, 1, 1], id="find of another model"),
        pytest.param(
            (STUDY_ROOT_FIND, STUDY_ROOT_MOVE, PATIENT_ROOT_MOVE, PATIENT_ROOT_GET), [0, 0, 1, 1], id="each by itself"
        ),
        pytest.param((VERIFICATION, SECONDARY_CAPTURE), [0, 0], id="nothing to retrieve"),
    ],
)
def test_d21_find_is_required_for_move_and_for_get(
    archive: Archive, proposed: tuple[str, ...], answered: list[int]
) -> None:
    archive.set_title(archive.title, requires_find=True)

    assert results(archive, *proposed) == answered


def test_a_find_that_the_caller_may_not_do_is_not_beside_it(archive: Archive) -> None:
    archive.set_title(archive.title, requires_find=True)
    archive.change(
        lambda connection: changes.add_rule(
            connection, archive.title.name, allows=False, calling_ae_title="RAWSCU", operations=("find",)
        )
    )

    assert results(archive, STUDY_ROOT_FIND, STUDY_ROOT_MOVE) == [1, 1]


# Reject triples


def test_a_title_that_refuses_rejects_every_association(archive: Archive, dcmtk: Dcmtk) -> None:
    archive.set_title(archive.title, refuses=True)

    ran = dcmtk.echo(archive.port, called=archive.title.name)

    assert "No Reason" in ran.output, ran
    assert rejection(archive) == (1, 1, 1)
    archive.set_title(archive.title, refuses=False)
    assert dcmtk.echo(archive.port, called=archive.title.name).is_ok


def test_a_peer_without_implementation_uid_is_rejected_where_it_is_required(archive: Archive) -> None:
    assert results(archive, VERIFICATION, implementation_class_uid="") == [0]

    archive.set_title(archive.title, requires_implementation_uid=True)

    assert rejection(archive, implementation_class_uid="") == (1, 1, 1)
    assert results(archive, VERIFICATION) == [0]


# Limits


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def becomes_free(archive: Archive, title: Title, **fields: object) -> bool:
    def is_free() -> bool:
        try:
            with archive.associate(Proposed(VERIFICATION), title=title, **fields) as scu:
                scu.release()
        except Rejected:
            return False
        return True

    return archive.becomes_true(is_free)


def test_a_title_has_no_more_associations_than_it_allows_over_all_workers(
    start_own_archive: Start, held: ExitStack
) -> None:
    archive = start_own_archive(workers=2)
    other = archive.add_title()
    archive.set_title(archive.title, max_associations=3)

    first, *_ = [held.enter_context(archive.associate(Proposed(VERIFICATION))) for _ in range(3)]

    assert rejection(archive) == (2, 3, 2)
    assert results(archive, VERIFICATION, title=other) == [0]
    first.release()
    assert becomes_free(archive, archive.title)


def test_a_caller_has_no_more_associations_than_the_title_allows_it(start_own_archive: Start, held: ExitStack) -> None:
    archive = start_own_archive(workers=2)
    archive.set_title(archive.title, max_associations_per_caller=2)

    first, _ = [held.enter_context(archive.associate(Proposed(VERIFICATION), calling="BUSY")) for _ in range(2)]

    assert rejection(archive, calling="BUSY") == (2, 3, 2)
    assert results(archive, VERIFICATION, calling="OTHER") == [0]
    first.abort()
    assert becomes_free(archive, archive.title, calling="BUSY")


def test_l9_peers_over_the_limit_of_dcmqrscp_are_served(start_own_archive: Start, held: ExitStack) -> None:
    archive = start_own_archive(workers=2)

    associations = [held.enter_context(archive.associate(Proposed(VERIFICATION))) for _ in range(40)]

    assert [scu.echo() for scu in associations] == [0] * 40


# Who stores beside whom


def stores(archive: Archive, title: Title, role: tuple[int, int] | None = None) -> RawScu:
    roles = {} if role is None else {SECONDARY_CAPTURE: role}
    contexts = (Proposed(SECONDARY_CAPTURE), Proposed(CT_IMAGE), Proposed(STUDY_ROOT_FIND))
    return archive.associate(*contexts, title=title, roles=roles)


def test_only_one_association_may_store_at_a_time_where_the_title_says_so(
    start_own_archive: Start, held: ExitStack
) -> None:
    archive = start_own_archive(workers=2)
    archive.set_title(archive.title, allows_parallel_store=False)
    first = held.enter_context(stores(archive, archive.title))

    answered = [held.enter_context(stores(archive, archive.title)).results for _ in range(6)]

    assert answered == [{SECONDARY_CAPTURE: [1], CT_IMAGE: [1], STUDY_ROOT_FIND: [0]}] * 6
    assert first.store(SECONDARY_CAPTURE, instance().SOPInstanceUID, encoded(instance())).status == 0
    first.release()
    assert archive.becomes_true(lambda: may_store(archive))


def may_store(archive: Archive) -> bool:
    with stores(archive, archive.title) as scu:
        scu.release()
    return scu.results[SECONDARY_CAPTURE] == [0]


def test_another_title_is_stored_to_beside(archive: Archive, held: ExitStack) -> None:
    other = archive.add_title(area=archive.title.area)
    for title in (archive.title, other):
        archive.set_title(title, allows_parallel_store=False)
    held.enter_context(stores(archive, archive.title))

    assert held.enter_context(stores(archive, other)).results[SECONDARY_CAPTURE] == [0]


def test_who_only_gets_may_do_so_beside_one_who_stores(archive: Archive, held: ExitStack) -> None:
    archive.set_title(archive.title, allows_parallel_store=False)
    held.enter_context(stores(archive, archive.title))

    only, both = (held.enter_context(stores(archive, archive.title, role)) for role in ((0, 1), (1, 1)))

    assert (only.results[SECONDARY_CAPTURE], only.roles) == ([0], {SECONDARY_CAPTURE: (0, 1)})
    assert (both.results[SECONDARY_CAPTURE], both.roles) == ([0], {SECONDARY_CAPTURE: (0, 1)})
    assert (only.results[CT_IMAGE], both.results[CT_IMAGE]) == ([1], [1])


def test_who_finds_keeps_nobody_from_storing(archive: Archive, held: ExitStack) -> None:
    archive.set_title(archive.title, allows_parallel_store=False)
    held.enter_context(archive.associate())

    assert may_store(archive)


def test_a_killed_worker_keeps_nobody_from_storing(start_own_archive: Start, held: ExitStack) -> None:
    archive = start_own_archive()
    archive.set_title(archive.title, allows_parallel_store=False)
    held.enter_context(stores(archive, archive.title))
    old = archive.workers()

    archive.service.kill_worker()

    assert archive.becomes_true(lambda: archive.workers() not in ([], old))
    assert archive.becomes_true(lambda: may_store(archive))
