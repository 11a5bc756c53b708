"""runs.py: commands run beside everything else, so many at once, and leave nothing behind."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from archive.lifecycle.events.runs import CommandRuns, Run
from scripts.background import descendants
from tests.wire.running import becomes_true

SECONDS = 60.0  # no command here takes this long


class Gate:
    """A command that says that it runs, and does so until the gate is opened."""

    def __init__(self, folder: Path) -> None:
        self.pipe, self.begun = folder / "gate", folder / "begun"
        os.mkfifo(self.pipe)
        self._descriptor = os.open(self.pipe, os.O_RDWR)  # as long as it is open nothing in it is lost
        self._others = frozenset(descendants(os.getpid()))  # the server of other tests, where all run in one process

    def command(self, name: str) -> tuple[str, ...]:
        return ("/bin/sh", "-c", f'echo {name} >> "$1"; read -r line < "$2"', "sh", str(self.begun), str(self.pipe))

    def names(self) -> list[str]:
        """Those that have begun."""
        return self.begun.read_text().split() if self.begun.exists() else []

    def open(self, times: int) -> None:
        os.write(self._descriptor, b"go\n" * times)

    def running(self) -> int:
        """Processes of commands."""
        return len(set(descendants(os.getpid())) - self._others)

    def close(self) -> None:
        """Let everybody go who waits."""
        self.open(100)
        assert becomes_true(lambda: self.running() == 0)
        os.close(self._descriptor)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    made = Gate(tmp_path)
    yield made
    made.close()


def recorder(tmp_path: Path, name: str = "record") -> Path:
    """A program that writes its arguments, one line for each run, beside itself."""
    program = tmp_path / name
    program.write_text("#!/bin/sh\nIFS='|'\nprintf '%s\\n' \"$*\" >> \"$0.log\"\n")
    program.chmod(0o755)
    return program


def runs_of(program: Path) -> list[str]:
    log = program.with_name(f"{program.name}.log")
    return log.read_text().splitlines() if log.exists() else []


def ended(run: Run) -> bool:
    return run.over.wait(SECONDS)


def zombies() -> list[str]:
    """Children of this process that have ended and that nobody has waited for."""
    found = []
    for children in Path("/proc/self/task").glob("*/children"):
        for pid in children.read_text().split():
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            found += [pid] if state == "Z" else []
    return found


def test_a_command_gets_its_arguments_as_they_are(tmp_path: Path) -> None:
    program = recorder(tmp_path)

    assert ended(CommandRuns().begin([str(program), "a b", "$(id)", "", "-x"]))

    assert runs_of(program) == ["a b|$(id)||-x"]
    assert zombies() == []


def test_one_after_the_other_they_run_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    program, runs = recorder(tmp_path), CommandRuns(1)

    begun = [runs.begin([str(program), str(number)]) for number in range(20)]

    assert all(ended(run) for run in begun)
    assert runs_of(program) == [str(number) for number in range(20)]


def test_no_more_than_so_many_run_at_once(gate: Gate) -> None:
    runs = CommandRuns(3)
    begun = [runs.begin(gate.command(str(number))) for number in range(5)]
    assert becomes_true(lambda: len(gate.names()) == 3)
    assert gate.running() == 3
    assert not any(run.over.is_set() for run in begun)

    gate.open(5)

    assert all(ended(run) for run in begun)
    assert sorted(gate.names()) == list("01234")


def test_one_that_does_not_end_holds_up_no_other(gate: Gate, tmp_path: Path) -> None:
    program, runs = recorder(tmp_path), CommandRuns(2)
    endless = runs.begin(gate.command("endless"))

    assert all(ended(runs.begin([str(program), str(number)])) for number in range(5))
    assert not endless.over.is_set()


def test_where_the_line_is_full_one_is_not_run_and_the_log_says_which(
    gate: Gate, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program, runs = recorder(tmp_path), CommandRuns(1, most_waiting=1)
    runs.begin(gate.command("endless"))
    waiting = runs.begin([str(program), "waits"])

    lost = runs.begin([str(program), "lost"], wait_seconds=0.01)

    assert lost.over.is_set()
    assert caplog.messages == [f"not run, because 1 commands are in line already: {program} lost"]
    gate.open(1)
    assert ended(waiting)
    assert runs_of(program) == ["waits"]


def test_who_finds_the_line_full_waits_for_room(gate: Gate, tmp_path: Path) -> None:
    program, runs = recorder(tmp_path), CommandRuns(1, most_waiting=1)
    runs.begin(gate.command("first"))
    runs.begin(gate.command("second"))

    gate.open(2)

    assert ended(runs.begin([str(program), "third"], wait_seconds=SECONDS))
    assert runs_of(program) == ["third"]


def test_when_it_is_closed_what_waits_is_not_run_and_what_runs_goes_on(gate: Gate, tmp_path: Path) -> None:
    program, runs = recorder(tmp_path), CommandRuns(1)
    running = runs.begin(gate.command("runs"))
    waiting = runs.begin([str(program), "waits"])

    assert runs.close() == [waiting]
    late = runs.begin([str(program), "late"])

    assert (waiting.over.is_set(), late.over.is_set(), running.over.is_set()) == (True, True, False)
    gate.open(1)
    assert ended(running)
    assert runs_of(program) == []


def test_all_have_begun_when_none_is_in_line(gate: Gate) -> None:
    runs = CommandRuns(2)
    for name in "ab":
        runs.begin(gate.command(name))

    runs.wait_until_all_have_begun()

    assert becomes_true(lambda: sorted(gate.names()) == ["a", "b"])


def test_nothing_comes_to_its_input_and_no_descriptor_goes_with_it(tmp_path: Path) -> None:
    found = tmp_path / "found"
    held = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(held, True)
    script = 'for each in /proc/$$/fd/*; do echo "${each##*/} $(readlink "$each")"; done > "$1"'
    try:
        assert ended(CommandRuns().begin(["/bin/sh", "-c", script, "sh", str(found)]))
    finally:
        os.close(held)
    descriptors = dict(line.split(maxsplit=1) for line in found.read_text().splitlines())

    assert descriptors["0"] == os.devnull
    assert str(tmp_path) not in descriptors.values()
    assert not [path for path in descriptors.values() if path.startswith("socket:")]


@pytest.mark.parametrize(
    "program, said",
    [
        ("no_such_program", "No such file or directory; is its whole path needed?"),
        ("{folder}", "Permission denied; it must be a file that may be executed"),
        ("{folder}/plain", "Permission denied; it must be a file that may be executed"),
    ],
)
def test_one_that_cannot_be_started_is_told_with_what_to_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, program: str, said: str
) -> None:
    plain = tmp_path / "plain"
    plain.write_text("#!/bin/sh\n")
    plain.chmod(stat.S_IRUSR | stat.S_IWUSR)
    program = program.format(folder=tmp_path)

    assert ended(CommandRuns().begin([program, "a b"]))

    (message,) = caplog.messages
    assert message.startswith(f"cannot execute '{program} 'a b'': {said}")


def test_a_script_that_does_not_say_by_what_it_is_run_is_run_by_the_shell(tmp_path: Path) -> None:
    program = tmp_path / "script"
    program.write_text('printf "%s" "$1" > "$0.out"\n')
    program.chmod(0o755)

    assert ended(CommandRuns().begin([str(program), "$(id)"]))

    assert (tmp_path / "script.out").read_text() == "$(id)"


@pytest.mark.parametrize(
    "script, said",
    [("exit 3", "ended with exit code 3"), ("kill -9 $$", "ended by signal 9"), ("exit 0", "")],
)
def test_one_that_fails_is_told(caplog: pytest.LogCaptureFixture, script: str, said: str) -> None:
    assert ended(CommandRuns().begin(["/bin/sh", "-c", script]))

    assert [message.partition(":")[0] for message in caplog.messages] == ([said] if said else [])


def test_one_that_nothing_can_start_gives_its_place_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    program, runs = recorder(tmp_path), CommandRuns(1)

    assert ended(runs.begin([str(program), "a\0b"]))
    assert ended(runs.begin([str(program), "next"]))
    runs.wait_until_all_have_begun()

    assert runs_of(program) == ["next"]
    assert [message.partition(":")[0] for message in caplog.messages] == ["a command met a defect"]


def test_an_end_comes_after_all_that_began_of_the_same_before(gate: Gate, tmp_path: Path) -> None:
    program, runs = recorder(tmp_path), CommandRuns()
    begun = [runs.begin(gate.command(name), of="A") for name in "ab"]
    assert becomes_true(lambda: len(gate.names()) == 2)
    done: list[list[str]] = []

    end = runs.end("A", [str(program), "end"], first=lambda: done.append(runs_of(program)))
    assert ended(runs.end("B", [str(program), "other"]))
    assert ended(runs.begin([str(program), "none's"]))

    assert not end.over.is_set()
    assert done == []
    gate.open(2)
    assert ended(end)
    assert all(run.over.is_set() for run in begun)
    assert runs_of(program) == ["other", "none's", "end"]
    assert done == [["other", "none's"]]


@pytest.mark.parametrize("most_at_once", [1, 2, 32])
def test_ends_of_the_same_come_one_after_the_other(gate: Gate, tmp_path: Path, most_at_once: int) -> None:
    runs = CommandRuns(most_at_once)
    ends = [runs.end("A", gate.command(str(number))) for number in range(4)]

    for number in range(4):
        assert becomes_true(lambda number=number: gate.names() == list("0123")[: number + 1])
        assert gate.running() == 1
        gate.open(1)
        assert ended(ends[number])
    assert runs.close() == []


def test_what_comes_after_an_end_does_not_wait_for_it(gate: Gate, tmp_path: Path) -> None:
    program, runs = recorder(tmp_path), CommandRuns()
    end = runs.end("A", gate.command("end"))

    assert ended(runs.begin([str(program), "goes on"], of="A"))
    assert not end.over.is_set()


def test_an_end_may_have_no_command(gate: Gate) -> None:
    runs, done = CommandRuns(), list[str]()
    runs.begin(gate.command("a"), of="A")
    end = runs.end("A", first=lambda: done.append("end"))
    assert done == []

    gate.open(1)

    assert ended(end)
    assert done == ["end"]


def test_a_defect_before_its_command_keeps_no_other_end_waiting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program, runs = recorder(tmp_path), CommandRuns(1)

    def fail() -> None:
        raise ValueError("a defect")

    ends = [runs.end("A", [str(program), name], first=first) for name, first in (("1", fail), ("2", None))]

    assert all(ended(run) for run in ends)
    assert runs_of(program) == ["2"]
    assert caplog.messages == [f"a command met a defect: {program} 1"]


def test_what_is_held_has_its_bound_and_is_not_run_when_it_is_closed(
    gate: Gate, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program, runs = recorder(tmp_path), CommandRuns(most_waiting=1)
    running = runs.begin(gate.command("runs"), of="A")
    held = runs.end("A", [str(program), "held"])

    lost = runs.end("A", [str(program), "lost"], wait_seconds=0.01)

    assert lost.over.is_set()
    assert caplog.messages == [f"not run, because 1 commands are in line already: {program} lost"]
    assert runs.close() == [held]
    gate.open(1)
    assert ended(running)
    assert held.over.is_set()
    assert runs_of(program) == []


@pytest.mark.parametrize("begins", [True, False])
def test_an_end_waits_for_what_is_expected(gate: Gate, tmp_path: Path, begins: bool) -> None:
    program, runs = recorder(tmp_path), CommandRuns()
    expected = runs.expect("A")
    end = runs.end("A", [str(program), "end"])
    assert ended(runs.begin([str(program), "other"], of="B"))
    assert not end.over.is_set()

    if begins:
        runs.begin(gate.command("begun"), expected=expected)
        assert becomes_true(lambda: gate.names() == ["begun"])
        assert not end.over.is_set()
        gate.open(1)
    else:
        runs.let_go(expected)

    assert ended(end)
    assert runs_of(program) == ["other", "end"]


def test_an_end_does_not_wait_for_what_was_expected_and_found_no_room(tmp_path: Path) -> None:
    program, runs = recorder(tmp_path), CommandRuns(2, most_waiting=1)
    expected = runs.expect("A")
    end = runs.end("A", [str(program), "end"])

    assert ended(runs.begin([str(program), "lost"], expected=expected, wait_seconds=0.01))

    assert ended(end)
    assert runs_of(program) == ["end"]
