"""The finer points of dcmqrscp, asked of DCMTK's and of ours: what differs is listed here, and in decision 0010."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.wire import conversation, finer_points
from tests.wire.conversation import Peer, study_of
from tests.wire.dcmqrscp_site import DCMQRSCP, OURS, serving
from tests.wire.finer_points import CONFIGURATION, HELD, answer_by_instance_number
from tests.wire.raw_messages import (
    CT_IMAGE,
    PATIENT_ROOT_FIND,
    SECONDARY_CAPTURE,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
    Proposed,
    Rejected,
)
from tests.wire.running import identifier


def flat(answers: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The answers of tables each by its own name."""
    for name, answer in answers.items():
        if isinstance(answer, dict):
            yield from ((f"{name}: {key}", each) for key, each in answer.items())
        else:
            yield name, answer


_FIRST = str(HELD[0].StudyInstanceUID)
_STRANGER = ((1, 1, 7), (1, 1, 3))
_UNKNOWN_CONTEXT = ((2, 1, 2), (1, 1, 2))
_WITHOUT_ITS_KEYS = [0xA900, (0, 0, 0), [], [], []]
_NO_SUCH_LEVEL = [0xC000, (0, 0, 0), [], [], []]

# dcmqrscp's answer, and ours.
DIFFERENT: dict[str, tuple[Any, Any]] = {
    # The end of a range of times is as long as its precision says.
    "matches: times of hours": ((0, [1, 2]), (0, [1, 2, 3])),
    "matches: times up to a minute": ((0, [1, 2]), (0, [1, 2, 3])),
    "matches: times up to a second": ((0, [1, 2]), (0, [1, 2, 3])),
    "matches: date and time apart": ((0, [1]), (0, [1, 3])),
    "matches: decimal otherwise": ((0, []), (0, [1])),
    "matches: name with empty components": ((0, []), (0, [1])),
    "matches: name stored with empty components": ((0, []), (0, [3, 4])),
    "matches: name in another case": ((0, []), (0, [1, 2])),
    "matches: second of several values": ((0, []), (0, [1])),
    "queries: series number otherwise": ((0, 0), (0, 1)),
    "queries: instance number otherwise": ((0, 0), (0, 1)),
    "queries: series of patient/study only": ((0, 2), (0xC000, 0)),
    "queries: a level by its beginning": ((0, 4), (0xC000, 0)),
    "queries: a key below": (
        (0, [[_FIRST, "CT", "STUDY", "ROOMY"]]),
        (0, [[_FIRST, "None", "STUDY", "ROOMY"]]),
    ),
    "elements_of_an_answer_without_a_unique_key": (
        ["QueryRetrieveLevel", "RetrieveAETitle", "StudyDate"],
        ["QueryRetrieveLevel", "RetrieveAETitle", "StudyDate", "StudyInstanceUID"],
    ),
    "moves: image by its uid alone": ([0, (0, 0, 0), [], [], []], _WITHOUT_ITS_KEYS),
    "moves: study by the patient's name": ([0, (2, 0, 0)], [0xA900, (0, 0, 0)]),
    "moves: patient of study root": ([0, (0, 0, 0), [], [], []], _NO_SUCH_LEVEL),
    "moves: series of patient/study only": ([0, (1, 0, 0)], [0xC000, (0, 0, 0)]),
    "store_by_another_class": (0, 0x0122),
    "store_without_a_series": ([0], [0xA900]),
    "study_of_two_patients": ((0, 2), (0, 1)),
    "titles: modality at ROOMY": _STRANGER,
    "titles:  MODALITY at ROOMY": ((1, 1, 7), None),
    "titles: MODALITY at  ROOMY": ((1, 1, 7), None),
    "titles: DESTINATION at TWOFOLD": _STRANGER,
    "titles: UNHEARD at ROOMY": _STRANGER,
    f"access_to_write_only: {STUDY_ROOT_FIND}": ([0], [1]),
    f"access_to_write_only: {STUDY_ROOT_MOVE}": ([0], [1]),
    "order_of_refusals: unknown title, wrong context": _UNKNOWN_CONTEXT,
    "order_of_refusals: stranger, wrong context": _UNKNOWN_CONTEXT,
    "order_of_refusals: stranger, nothing that is known": _STRANGER,
}


def shortened(answer: Any, like: Any) -> Any:
    """As much of an answer as is written above: how many were answered instead of all, the beginning of a list."""
    if isinstance(like, tuple) and len(like) == 2 and isinstance(like[1], int) and isinstance(answer[1], list):
        return answer[0], len(answer[1])
    return answer[: len(like)] if isinstance(like, list) and isinstance(answer, list) else answer


@pytest.mark.slow
def test_the_finer_points_are_as_with_dcmqrscp_but_for_those_that_are_listed(tmp_path: Path) -> None:
    said: dict[tuple[str, ...], dict[str, Any]] = {}
    for command in (DCMQRSCP, OURS):
        folder = tmp_path / str(len(said))
        with serving(command, folder, configuration=CONFIGURATION, answer=answer_by_instance_number) as peer:
            said[tuple(map(str, command))] = dict(flat(conversation.hold(peer, finer_points)))
    theirs, ours = said.values()

    differing = {
        name: tuple(map(shortened, (theirs[name], ours[name]), DIFFERENT.get(name, (None, None))))
        for name in theirs
        if theirs[name] != ours[name]
    }
    assert differing == DIFFERENT


# What options and parameters change: the answers of both, and where ours are others.


def _results(peer: Peer, *contexts: Proposed, **fields: Any) -> Any:
    """The results of contexts by SOP Class, or the rejection."""
    try:
        with peer.associated(*contexts, **fields) as scu:
            return scu.results
    except Rejected as rejected:
        return rejected.why


def _moved(peer: Peer, calling: str, destination: str) -> int:
    keys = identifier(**study_of(HELD[2]))
    with peer.associated(Proposed(STUDY_ROOT_MOVE), calling=calling) as scu:
        return scu.move(STUDY_ROOT_MOVE, keys, destination)[-1].status


def move_targets(peer: Peer) -> dict[str, Any]:
    peer.store(HELD[2])
    asked = [("MODALITY", "DESTINATION"), ("MODALITY", "TWICE"), ("DESTINATION", "DESTINATION"), ("DESTINATION", "X")]
    return {f"{calling} to {destination}": _moved(peer, calling, destination) for calling, destination in asked}


def move_to_a_host_by_another_name(peer: Peer) -> dict[str, Any]:
    peer.store(HELD[2])
    return {"move": _moved(peer, "MODALITY", "DESTINATION")}


def models(peer: Peer) -> dict[str, Any]:
    contexts = [f"1.2.840.10008.5.1.4.1.2.{model}.{service}" for model in (1, 2, 3) for service in (1, 2, 3)]
    return {
        "all": _results(peer, *map(Proposed, contexts)),
        "move alone": _results(peer, Proposed(STUDY_ROOT_MOVE)),
        "get alone": _results(peer, Proposed(STUDY_ROOT_GET)),
        "move with a find of another model": _results(peer, Proposed(PATIENT_ROOT_FIND), Proposed(STUDY_ROOT_MOVE)),
        "find alone": _results(peer, Proposed(STUDY_ROOT_FIND)),
    }


def without_get(peer: Peer) -> dict[str, Any]:
    both = (Proposed(SECONDARY_CAPTURE), Proposed(STUDY_ROOT_GET))
    with peer.associated(*both, roles={SECONDARY_CAPTURE: (0, 1)}) as scu:
        roles = scu.results, scu.roles
    common = _results(peer, Proposed(CT_IMAGE, ("1.2.3",)))
    return models(peer) | {"roles": roles, "no common transfer syntax": common}


def stores_at_once(peer: Peer) -> dict[str, Any]:
    contexts = (Proposed(SECONDARY_CAPTURE), Proposed(VERIFICATION))
    with peer.associated(*contexts) as first:
        found = {"first": first.results, "second": _results(peer, *contexts)}
        found["second at another title"] = _results(peer, *contexts, called="GROUPED")
        found["to get"] = _results(peer, *contexts, roles={SECONDARY_CAPTURE: (0, 1)})
    return found


def entries(peer: Peer) -> dict[str, Any]:
    """Who comes in, with one thing wrong or two."""
    wrong: dict[str, dict[str, str]] = {
        "nothing": {},
        "stranger": {"calling": "STRANGER"},
        "unknown title": {"called": "NOWHERE"},
        "application context": {"application_context": "1.2.3"},
        "no implementation": {"implementation_class_uid": ""},
        "no implementation, unknown title": {"implementation_class_uid": "", "called": "NOWHERE"},
        "no implementation, application context": {"implementation_class_uid": "", "application_context": "1.2.3"},
    }
    return {name: _results(peer, Proposed(VERIFICATION), **fields) for name, fields in wrong.items()}


def entries_when_full(peer: Peer) -> dict[str, Any]:
    with peer.associated(Proposed(VERIFICATION)):
        return entries(peer)


_BY_ADDRESS = CONFIGURATION.replace("MODALITY, localhost", "MODALITY, 127.0.0.1")
_ONE_AT_A_TIME = CONFIGURATION.replace("MaxAssociations = 16", "MaxAssociations = 1")
_AT_THE_DOOR = {
    "stranger": _STRANGER,
    "application context": _UNKNOWN_CONTEXT,
    "no implementation, application context": _UNKNOWN_CONTEXT,
}
_CLOSED = ((1, 1, 1), (1, 1, 2))
_TITLE_FIRST = ((1, 1, 1), (1, 1, 7))

# Options, the questions, what differs, and the configuration.
OPTIONS: dict[str, tuple[Sequence[str], Callable[[Peer], dict[str, Any]], dict[str, tuple[Any, Any]], str]] = {
    "to the same host": (["-ZH"], move_targets, {}, CONFIGURATION),
    "to the same host by another name": (
        ["-ZH", "-dhl"],
        move_to_a_host_by_another_name,
        {"move": (0xA801, 0)},
        _BY_ADDRESS,
    ),
    "to the same vendor": (["-ZV"], move_targets, {}, CONFIGURATION),
    "to the same title and vendor": (["-ZA", "-ZV"], move_targets, {}, CONFIGURATION),
    "find required, no patient root": (
        ["--require-find", "-QP"],
        models,
        {"get alone": ({STUDY_ROOT_GET: [0]}, {STUDY_ROOT_GET: [1]})},
        CONFIGURATION,
    ),
    "no get, no patient/study only": (["--disable-get", "-QO"], without_get, {}, CONFIGURATION),
    "no stores at once": (["--no-parallel-store"], stores_at_once, {}, CONFIGURATION),
    "nobody": (
        ["--refuse"],
        entries,
        {
            "application context": _CLOSED,
            "unknown title": _TITLE_FIRST,
            "no implementation, unknown title": _TITLE_FIRST,
            "no implementation, application context": _CLOSED,
        },
        CONFIGURATION,
    ),
    "only with an implementation": (
        ["--reject"],
        entries,
        _AT_THE_DOOR | {"no implementation, unknown title": _TITLE_FIRST},
        CONFIGURATION,
    ),
    "one at a time": ([], entries_when_full, _AT_THE_DOOR, _ONE_AT_A_TIME),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", OPTIONS)
def test_options_change_the_same_as_with_dcmqrscp_but_for_what_is_listed(tmp_path: Path, what: str) -> None:
    options, ask, different, configuration = OPTIONS[what]
    answers = []
    for number, command in enumerate((DCMQRSCP, OURS)):
        with serving(command, tmp_path / str(number), *options, configuration=configuration) as peer:
            answers.append(ask(peer))
    theirs, ours = answers

    assert {name: (theirs[name], ours[name]) for name in theirs if theirs[name] != ours[name]} == different
