"""The same conversation with DCMTK's dcmqrscp and with ours, by the same configuration file."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts.background import free_port
from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import encoded
from tests.wire import conversation
from tests.wire.conversation import Peer
from tests.wire.dcmqrscp_site import CONFIGURATION, DCMQRSCP, OURS, serving
from tests.wire.raw_messages import (
    CT_IMAGE,
    EXPLICIT,
    IMPLICIT,
    SECONDARY_CAPTURE,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    Proposed,
    Rejected,
)
from tests.wire.running import identifier

# What is answered differently on purpose (docs/decisions/0010): dcmqrscp's answer, and ours.
DIFFERENT: dict[str, tuple[Any, Any]] = {
    "calling_title_that_is_no_peer": ((1, 1, 7), (1, 1, 3)),
    "calling_title_of_another_host": ((1, 1, 7), (1, 1, 3)),
    "unknown_application_context": ((2, 1, 2), (1, 1, 2)),
    "storage_context_without_a_common_transfer_syntax": ({CT_IMAGE: [3]}, {CT_IMAGE: [4]}),
    "role_scu_and_scp_at_a_title_for_reading": ([1], [0]),
    "storing_in_implicit_and_deflated": ((0, [3]), (0, [4])),
    "data_set_without_sop_instance_uid": (0xC000, 0xA900),
    "data_set_without_study_instance_uid": ([0], [0xA900]),
    "data_set_that_is_none": ("ended", 0xA900),
    "query_of_a_key_that_is_not_kept": ([0, *[0xFF00] * 4], [0, *[0xFF01] * 4]),
    "move_without_a_key": (0, 0xA900),
    "move_of_a_series_without_its_study": ([0, (0, 0, 0), [], [], []], [0xA900, (0, 0, 0), [], [], []]),
}
# Names match without case here, so this one has answers.
MORE_HERE = "studies_by_a_name_in_another_case"


def test_the_same_file_and_the_same_conversation_have_the_same_answers(tmp_path: Path) -> None:
    with serving(DCMQRSCP, tmp_path / "dcmtk") as peer:
        theirs = conversation.hold(peer)
    with serving(OURS, tmp_path / "ours") as peer:
        ours = conversation.hold(peer)

    differing = {step: (theirs[step], ours[step]) for step in theirs if theirs[step] != ours[step]}
    assert (theirs[MORE_HERE][1], len(ours[MORE_HERE][1])) == ([], 3)
    differing.pop(MORE_HERE)
    assert differing == DIFFERENT


def find_all(peer: Peer, called: str = "ROOMY") -> list[Any]:
    status, answers = peer.find(STUDY_ROOT_FIND, "STUDY", called=called, StudyInstanceUID=None)
    assert status == 0
    return answers


def test_a_site_that_moves_finds_the_images_of_dcmqrscp_and_keeps_them(tmp_path: Path) -> None:
    held = [conversation.small(study=study) for study in (1, 2, 3)]
    with serving(DCMQRSCP, tmp_path) as peer:
        assert peer.store(*held) == [0, 0, 0]
        before = find_all(peer)
    images = sorted((tmp_path / "roomy").glob("*.dcm"))

    got: list[Any] = []
    for _ in range(2):  # the second start indexes nothing twice
        with serving(OURS, tmp_path) as peer:
            assert find_all(peer) == before
            got = peer.move(STUDY_ROOT_MOVE, "DESTINATION", **conversation.study_of(held[1]))
    assert got[0] == 0
    assert [uid for uid, *_ in got[-1]] == [held[1].SOPInstanceUID]
    assert sorted((tmp_path / "roomy").glob("*.dcm")) == images
    assert (tmp_path / "roomy" / ".archive" / "archive.db").exists()


def test_a_changed_file_counts_at_the_next_start(tmp_path: Path) -> None:
    with serving(OURS, tmp_path) as peer:
        peer.store(conversation.small(), called="GROUPED")
        assert peer.rejected("GROUPED", "VIEWER") is None
    changed = CONFIGURATION.replace("everybody   = modality, viewer,", "everybody   = modality,")

    with serving(OURS, tmp_path, configuration=changed.replace("READABLE ", "READABLE2")) as peer:
        assert peer.rejected("GROUPED", "VIEWER") == (1, 1, 3)
        assert peer.rejected("READABLE", "MODALITY") == (1, 1, 7)
        assert peer.rejected("READABLE2", "MODALITY") is None
        assert len(find_all(peer, "GROUPED")) == 1


@pytest.mark.parametrize(
    "options, step, answer",
    [
        (["--refuse"], "echo", "rejected (1, 1, 1)"),
        (["--disable-get"], "get_contexts", [3]),
        (["-QS"], "find_contexts", [3]),
        (["--require-find"], "move_contexts", [1]),
        (["+xi"], "explicit_store", [4]),
        (["--ignore"], "store_and_find", ([0], [])),
        (["-XF"], "find_with_a_key_of_a_lower_level", 0xA900),
        (["-XM"], "move_with_another_key", 0xA900),
        (["-ZA"], "move_elsewhere", 0xA801),
        (["+te"], "implicit_as_written", "1.2.840.10008.1.2.1"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) and value and isinstance(value[0], str) else None,
)
def test_an_option_does_what_it_does_to_dcmqrscp(tmp_path: Path, options: list[str], step: str, answer: object) -> None:
    with serving(OURS, tmp_path, *options) as peer:
        assert STEPS[step](peer, tmp_path) == answer


def _echo(peer: Peer, folder: Path) -> Any:
    try:
        return conversation.echo(peer)
    except Rejected as rejected:
        return f"rejected {rejected.why}"


def _results(*contexts: Proposed) -> Callable[[Peer, Path], Any]:
    def ask(peer: Peer, folder: Path) -> Any:
        with peer.associated(*contexts) as scu:
            return scu.results[contexts[0].abstract_syntax]

    return ask


def _store_and_find(peer: Peer, folder: Path) -> Any:
    return peer.store(conversation.small()), find_all(peer)


def _find_lower(peer: Peer, folder: Path) -> Any:
    return peer.find(STUDY_ROOT_FIND, "STUDY", StudyInstanceUID=None, Modality="CT")[0]


def _move_with_another_key(peer: Peer, folder: Path) -> Any:
    keys = conversation.study_of(conversation.small()) | {"PatientName": "X"}
    return peer.move(STUDY_ROOT_MOVE, "DESTINATION", **keys)[0]


def _move_elsewhere(peer: Peer, folder: Path) -> Any:
    peer.store(conversation.small())
    return peer.move(STUDY_ROOT_MOVE, "DESTINATION", **conversation.study_of(conversation.small()))[0]


def _implicit_as_written(peer: Peer, folder: Path) -> Any:
    data_set = conversation.small(transfer_syntax=IMPLICIT)
    with peer.associated(Proposed(SECONDARY_CAPTURE, (IMPLICIT,))) as scu:
        assert scu.store(SECONDARY_CAPTURE, data_set.SOPInstanceUID, encoded(data_set), IMPLICIT).status == 0
    contexts = (Proposed(STUDY_ROOT_GET), Proposed(SECONDARY_CAPTURE, (EXPLICIT,)))
    with peer.associated(*contexts, roles={SECONDARY_CAPTURE: (0, 1)}) as scu:
        got = scu.get(STUDY_ROOT_GET, identifier(**conversation.study_of(data_set)))
    [written] = got.data_sets.values()
    return EXPLICIT if written == encoded(conversation.small()) else IMPLICIT


STEPS: dict[str, Callable[[Peer, Path], Any]] = {
    "echo": _echo,
    "get_contexts": _results(Proposed(STUDY_ROOT_GET)),
    "find_contexts": _results(Proposed(STUDY_ROOT_FIND)),
    "move_contexts": _results(Proposed(STUDY_ROOT_MOVE)),
    "explicit_store": _results(Proposed(CT_IMAGE, (EXPLICIT,))),
    "store_and_find": _store_and_find,
    "find_with_a_key_of_a_lower_level": _find_lower,
    "move_with_another_key": _move_with_another_key,
    "move_elsewhere": _move_elsewhere,
    "implicit_as_written": _implicit_as_written,
}


def test_termscu_ends_it_where_that_is_allowed(tmp_path: Path, dcmtk: Dcmtk) -> None:
    with serving(OURS, tmp_path, "--allow-shutdown") as peer:
        dcmtk.run("termscu", "-aet", "MODALITY", "-aec", "ROOMY", "127.0.0.1", peer.port)

        assert peer.process.wait() == 0


@pytest.mark.parametrize(
    "words, code, said",
    [
        (["-c", "missing.cfg"], 10, "missing.cfg"),
        (["--nonsense"], 1, "unknown option --nonsense"),
        (["-F", "-c", "missing.cfg"], 1, "--write-dataset"),
        (["-QP", "-QS", "-QO"], 1, "cannot disable all Q/R models"),
    ],
)
def test_what_cannot_be_served_ends_with_the_exit_codes_of_dcmqrscp(
    tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    done = subprocess.run([*OURS, *words], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, said in done.stderr.lower() or said in done.stderr) == (code, True), done.stderr


def test_two_areas_in_one_folder_are_not_served(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").symlink_to(tmp_path / "one")
    file = tmp_path / "dcmqrscp.cfg"
    areas = "".join(f"{name} {tmp_path}/{name.lower()} RW (2, 20kb) ANY\n" for name in ("ONE", "TWO"))
    file.write_text(f"NetworkTCPPort = {free_port()}\nAETable BEGIN\n{areas}AETable END\n")

    words = [*OURS, "-c", str(file)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 10, done.stderr
    assert "The folder lies in that of area TWO, or that in it" in done.stderr
