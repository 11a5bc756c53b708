"""The table of PS3.8 9.2: which PDU may come when, and what follows."""

import pytest

from archive.errors import UnexpectedPdu
from archive.upper_layer.states import MOVES, Pdu, State, move


@pytest.mark.parametrize("state", [state for state in State if state is not State.ENDED], ids=lambda state: state.name)
def test_abort_ends_every_state(state: State) -> None:
    assert move(state, Pdu.ABORT, is_requestor=True) is State.ENDED


@pytest.mark.parametrize(
    "is_requestor, expected",
    [
        pytest.param(True, State.COLLIDED_AS_REQUESTOR, id="requestor"),
        pytest.param(False, State.COLLIDED_AS_ACCEPTOR, id="acceptor"),
    ],
)
def test_release_collision_depends_on_the_role(is_requestor: bool, expected: State) -> None:
    assert move(State.RELEASING, Pdu.RELEASE_RQ, is_requestor=is_requestor) is expected


@pytest.mark.parametrize(
    "state, pdu_type",
    [
        (state, pdu_type)
        for state in State
        for pdu_type in Pdu
        if (state, pdu_type) not in MOVES and (state, pdu_type) != (State.RELEASING, Pdu.RELEASE_RQ)
    ],
    ids=lambda value: value.name,
)
def test_what_the_table_does_not_have_is_unexpected(state: State, pdu_type: Pdu) -> None:
    with pytest.raises(UnexpectedPdu) as caught:
        move(state, pdu_type, is_requestor=False)

    assert caught.value.pdu_type == pdu_type


def test_nothing_may_come_after_the_end() -> None:
    assert not [state for state, _ in MOVES if state is State.ENDED]
