"""Association states and their legal moves, as one table (PS3.8 9.2, table 9-10); pure.

Only the states a blocking acceptor or requestor can be in while it waits for a PDU; the states of a local decision
(Sta3, Sta4, Sta8) are lines of code in `association`. What is not in the table is an unexpected PDU.
"""

from enum import Enum, IntEnum

from archive.errors import UnexpectedPdu


class Pdu(IntEnum):
    """PDU types (PS3.8 9.3)."""

    ASSOCIATE_RQ = 0x01
    ASSOCIATE_AC = 0x02
    ASSOCIATE_RJ = 0x03
    P_DATA_TF = 0x04
    RELEASE_RQ = 0x05
    RELEASE_RP = 0x06
    ABORT = 0x07


class State(Enum):
    """Where an association is; the name in PS3.8 table 9-10 beside it."""

    AWAITING_PROPOSAL = "Sta2"
    AWAITING_ANSWER = "Sta5"
    ESTABLISHED = "Sta6"
    RELEASING = "Sta7"  # we asked for release
    COLLIDED_AS_REQUESTOR = "Sta11"  # both asked; the association's requestor has answered and awaits the answer
    COLLIDED_AS_ACCEPTOR = "Sta10"  # both asked; the association's acceptor answers only after it has the answer
    ENDED = "Sta13"


# A-ABORT ends an association in every state that has one; AA-1, AA-3.
MOVES: dict[tuple[State, int], State] = {
    (State.AWAITING_PROPOSAL, Pdu.ASSOCIATE_RQ): State.ESTABLISHED,  # AE-6, then the local decision
    (State.AWAITING_PROPOSAL, Pdu.ABORT): State.ENDED,  # AA-2
    (State.AWAITING_ANSWER, Pdu.ASSOCIATE_AC): State.ESTABLISHED,  # AE-3
    (State.AWAITING_ANSWER, Pdu.ASSOCIATE_RJ): State.ENDED,  # AE-4
    (State.AWAITING_ANSWER, Pdu.ABORT): State.ENDED,  # AA-3
    (State.ESTABLISHED, Pdu.P_DATA_TF): State.ESTABLISHED,  # DT-2
    (State.ESTABLISHED, Pdu.RELEASE_RQ): State.ENDED,  # AR-2, AR-4: we always agree
    (State.ESTABLISHED, Pdu.ABORT): State.ENDED,
    (State.RELEASING, Pdu.P_DATA_TF): State.RELEASING,  # AR-6: still under way when we asked
    (State.RELEASING, Pdu.RELEASE_RP): State.ENDED,  # AR-3
    (State.RELEASING, Pdu.ABORT): State.ENDED,
    (State.COLLIDED_AS_REQUESTOR, Pdu.RELEASE_RP): State.ENDED,
    (State.COLLIDED_AS_REQUESTOR, Pdu.ABORT): State.ENDED,
    (State.COLLIDED_AS_ACCEPTOR, Pdu.RELEASE_RP): State.ENDED,
    (State.COLLIDED_AS_ACCEPTOR, Pdu.ABORT): State.ENDED,
}


def move(state: State, pdu_type: int, *, is_requestor: bool) -> State:
    """The state after a PDU of `pdu_type` arrived; UnexpectedPdu where the table has none."""
    if state is State.RELEASING and pdu_type == Pdu.RELEASE_RQ:  # AR-8, the only move that depends on the role
        return State.COLLIDED_AS_REQUESTOR if is_requestor else State.COLLIDED_AS_ACCEPTOR
    try:
        return MOVES[state, pdu_type]
    except KeyError:
        raise UnexpectedPdu(pdu_type=pdu_type, state=state.name) from None
