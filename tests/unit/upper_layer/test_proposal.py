"""What an agreement may say to a proposal, and what can be used after it."""

from archive.upper_layer.proposal import (
    Agreement,
    AnsweredContext,
    Context,
    ContextResult,
    ExtendedNegotiation,
    Proposal,
    ProposedContext,
    Role,
    UserIdentity,
)

ACCEPTED = ContextResult.ACCEPTED
PROPOSAL = Proposal(
    "A",
    "B",
    (ProposedContext(1, "1.1", ("9.1", "9.2")), ProposedContext(3, "1.3", ("9.1",))),
    asynchronous_operations=(0, 5),
    roles=(Role("1.1", scu=True, scp=False), Role("1.3", scu=True, scp=True)),
    extended=(ExtendedNegotiation("1.1", b"\1"),),
)


def test_context_that_was_left_out_is_answered_without_a_reason() -> None:
    fitted = Agreement((AnsweredContext(3, ACCEPTED, "9.1"),)).fitted_to(PROPOSAL)

    assert fitted.contexts == (AnsweredContext(1, ContextResult.NO_REASON), AnsweredContext(3, ACCEPTED, "9.1"))


def test_context_that_nobody_proposed_is_not_answered() -> None:
    fitted = Agreement((AnsweredContext(99, ACCEPTED, "9.1"),)).fitted_to(PROPOSAL)

    assert [answer.context_id for answer in fitted.contexts] == [1, 3]


def test_roles_are_never_more_than_was_proposed() -> None:
    roles = (Role("1.1", scu=True, scp=True), Role("1.3", scu=False, scp=True), Role("7.7", scu=True, scp=True))

    fitted = Agreement((), roles=roles).fitted_to(PROPOSAL)

    assert fitted.roles == (Role("1.1", scu=True, scp=False), Role("1.3", scu=False, scp=True))


def test_asynchronous_operations_are_one_each_and_only_where_proposed() -> None:
    assert Agreement(()).fitted_to(PROPOSAL).asynchronous_operations == (1, 1)
    assert (
        Agreement((), asynchronous_operations=(5, 5)).fitted_to(Proposal("A", "B", ())).asynchronous_operations is None
    )


def test_extended_negotiation_is_answered_only_where_proposed() -> None:
    extended = (ExtendedNegotiation("1.1", b"\0"), ExtendedNegotiation("1.3", b"\1"))

    fitted = Agreement((), extended=extended).fitted_to(PROPOSAL)

    assert fitted.extended == extended[:1]


def test_user_identity_is_answered_only_when_asked() -> None:
    agreement = Agreement((), user_identity_response=b"")
    asked = Proposal("A", "B", (), user_identity=UserIdentity(1, b"user", response_requested=True))
    not_asked = Proposal("A", "B", (), user_identity=UserIdentity(1, b"user"))

    assert agreement.fitted_to(asked).user_identity_response == b""
    assert agreement.fitted_to(not_asked).user_identity_response is None


def test_requestor_is_scu_unless_roles_were_agreed() -> None:
    answers = (AnsweredContext(1, ACCEPTED, "9.2"), AnsweredContext(3, ACCEPTED, "9.1"))

    contexts = Agreement(answers, roles=(Role("1.3", scu=False, scp=True),)).accepted(PROPOSAL)

    assert contexts == {
        1: Context(1, "1.1", "9.2", requestor_is_scu=True, requestor_is_scp=False),
        3: Context(3, "1.3", "9.1", requestor_is_scu=False, requestor_is_scp=True),
    }


def test_answer_to_something_else_cannot_be_used() -> None:
    answers = (
        AnsweredContext(1, ACCEPTED, "9.9"),
        AnsweredContext(3, ContextResult.USER_REJECTION, "9.1"),
        AnsweredContext(5, ACCEPTED, "9.1"),
    )

    assert Agreement(answers).accepted(PROPOSAL) == {}


def test_role_that_nobody_proposed_changes_nothing() -> None:
    proposal = Proposal("A", "B", (ProposedContext(1, "1.1", ("9.1",)),))
    agreement = Agreement((AnsweredContext(1, ACCEPTED, "9.1"),), roles=(Role("1.1", scu=False, scp=True),))

    assert agreement.accepted(proposal) == {1: Context(1, "1.1", "9.1")}
