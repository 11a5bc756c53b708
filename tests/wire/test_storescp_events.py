"""The event options of `archive storescp`, with the same traffic to DCMTK's storescp where it does the same."""

import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import MRImageStorage

from archive.cli.dcmtk.receiving import shown
from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import encoded, instance, write
from tests.wire.raw_messages import SECONDARY_CAPTURE, Proposed
from tests.wire.raw_scu import RawScu
from tests.wire.running import becomes_true
from tests.wire.storage_scps import DCMTK, OURS, Command, StorageScp, running, words_of
from tests.wire.test_storescp import Passed, run

FOREVER = 100_000  # seconds; a test that waited for it would fail
MR = MRImageStorage


# A program that keeps what it is told


class Record:
    """A program that writes its arguments down, one line for each run; `|` stands between them."""

    def __init__(self, folder: Path, name: str = "record") -> None:
        self.program, self.log = folder / name, folder / f"{name}.log"
        self.program.write_text("#!/bin/sh\nIFS='|'\nprintf '%s\\n' \"$*\" >> \"$0.log\"\n")
        self.program.chmod(0o755)

    def __str__(self) -> str:
        return str(self.program)

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def wait_for(self, count: int) -> list[str]:
        """The lines, when there are so many."""
        assert becomes_true(lambda: len(self.lines()) >= count), self.lines()
        return self.lines()


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return Record(tmp_path)


def small(letter: str, number: int, **keywords: Any) -> FileDataset:
    """An instance of the study that a letter names."""
    return instance(study=ord(letter), number=number, side_pixels=0, **keywords)


def study_uid(letter: str) -> str:
    return str(small(letter, 1).StudyInstanceUID)


def associate(scp: StorageScp, *, calling: str = "SENDER") -> RawScu:
    return scp.associate(Proposed(SECONDARY_CAPTURE), Proposed(MR), calling=calling)


def store(scu: RawScu, data_set: FileDataset) -> int:
    return scu.store(str(data_set.SOPClassUID), str(data_set.SOPInstanceUID), encoded(data_set)).status


def send(scp: StorageScp, *data_sets: FileDataset, calling: str = "SENDER") -> None:
    """All of them over one association."""
    with associate(scp, calling=calling) as scu:
        assert [store(scu, each) for each in data_sets] == [0] * len(data_sets)
        scu.release()


def test_a_path_is_shown_as_the_folder_was_named_and_never_as_an_option() -> None:
    here, option, elsewhere = Path(), Path("-x"), Path("/data")

    assert [shown(each, here) for each in (here, here / "a")] == [".", "./a"]
    assert [shown(each, option) for each in (option, option / "a")] == ["./-x", "./-x/a"]
    assert [shown(each, elsewhere) for each in (elsewhere, elsewhere / "a")] == ["/data", "/data/a"]


# Side by side


@dataclass(frozen=True)
class Case:
    """Options and traffic, the same to both. RECORD stands for the program, SENT are associations with instances."""

    options: str
    sent: Sequence[Sequence[FileDataset]]
    runs: int
    """How many commands are run."""
    beside: str = ""
    """Options of ours that make it DCMTK's way."""
    is_ordered: bool = True


ONE = [small("A", 1)]
TWO = [small("A", 1), small("A", 2, SOPClassUID=MR)]
STUDIES = [small("A", 1), small("A", 2, SOPClassUID=MR), small("B", 3), small("B", 4), small("C", 5)]
TURNS = [small("A", 1), small("B", 2), small("A", 3), small("C", 4)]
APART = [[small("A", 1)], [small("A", 2)], [small("B", 3)]]

CASES = {
    "on reception": Case("-xcr 'RECORD #p #f #a #c #r'", [ONE, ONE], 2),
    "on reception, without a lookup": Case("-dhl -xcr 'RECORD #r'", [ONE], 1),
    "every occurrence": Case("-xcr 'RECORD #p/#f #f#f =#a= x#c'", [ONE], 1),
    "between quotes": Case("-xcr 'RECORD \"#p/#f\" \"#f of #p\"'", [ONE], 1),
    "an extension": Case("-fe .dcm -xcr 'RECORD #f'", [ONE], 1),
    "new names": Case("+uf -xcr 'RECORD #f'", [ONE], 1),
    "names by time": Case("-tn -xcr 'RECORD #f'", [ONE], 1),
    "a folder for each study": Case("-su study -xs -xcr 'RECORD #p #f'", [STUDIES], 5),
    "a folder by time": Case("-ss x -xs -xcr 'RECORD #p #f'", [ONE], 1),
    "nothing kept": Case("--ignore -xcr 'RECORD #a x#p#f'", [ONE], 1),
    "several, not awaited": Case("-xcr 'RECORD #f'", [STUDIES], 5, is_ordered=False),
    "end of study": Case("-su x -xs -xcs 'RECORD #p #a #c #r'", [STUDIES], 2),
    "end of study, another association": Case("-su x -xs -xcs 'RECORD #p'", APART, 1),
    "end of study, by patient": Case("-sp -xs -xcs 'RECORD #p'", [STUDIES], 2),
    "end of study, by time": Case("-ss '' -xs -xcs 'RECORD #p'", [STUDIES], 2),
    "end of study by quiet": Case("-su x -xs -tos 1 -xcs 'RECORD #p'", [ONE], 1),
    "studies that take turns": Case("-su x -xs -xcs 'RECORD #p'", [TURNS], 3, "--study-order global"),
    "studies that take turns, apart": Case("-ss x -xs -xcs 'RECORD #p'", [[each] for each in TURNS], 3,
                                           "--study-order global"),
    "both": Case("-su x -xs -xcr 'RECORD #f' -xcs 'RECORD end #p'", [STUDIES], 7),
    "#f at the end of a study": Case("-su x -xs -xcs 'RECORD #p x#f'", [STUDIES], 2),
    "renamed": Case("-su x -xs -rns -xcs 'RECORD #p'", [STUDIES], 2),
    "renamed, names by time": Case("-ss x -tn -rns -xs -xcs 'RECORD #p'", [STUDIES], 2),
    "renamed by quiet": Case("-su x -fe .dcm -rns -tos 1 -xcs 'RECORD #p'", [TWO], 1),
}  # fmt: skip


def in_form(text: str, folder: Path) -> str:
    """Without what differs from run to run: the folder, times, and new UIDs."""
    text = text.replace(str(folder), "FOLDER")
    text = re.sub(r"\d{8}_\d{9}", "TIME", re.sub(r"\b\d{17}(_\d{4})?\b", "TIME", text))
    return re.sub(r"\.X\.1\.2\.276[0-9.]+", ".X.UID", text)


@pytest.mark.parametrize("name", CASES)
def test_commands_and_files_are_those_of_storescp(tmp_path: Path, name: str) -> None:
    case, found = CASES[name], []
    for number, command in enumerate((DCMTK, OURS)):
        place = tmp_path / str(number)
        place.mkdir()
        record = Record(place)
        words = _words(case.options.replace("RECORD", str(record)))
        with running(command, place, *words, *(case.beside.split() if command == OURS else ())) as scp:
            for sent in case.sent:
                send(scp, *sent)
            lines = [in_form(line, scp.folder) for line in record.wait_for(case.runs)]
            found.append((lines if case.is_ordered else sorted(lines), [in_form(each, place) for each in scp.files()]))

    assert found[1] == found[0]
    assert len(found[1][0]) == case.runs


def _words(options: str) -> list[str]:
    return [quoted[1:-1] if quoted[:1] == "'" else quoted for quoted in re.findall(r"'[^']*'|\S+", options)]


@pytest.mark.parametrize("program", ["storescu", "dcmsend"])
def test_real_clients_set_it_off(tmp_path: Path, dcmtk: Dcmtk, record: Record, program: str) -> None:
    files = [write(each, tmp_path) for each in STUDIES]
    options = ("-su", "study", "-xs", "-xcr", f"{record} #a #f", "-xcs", f"{record} #p")
    titles = ("-aet", "MODALITY", "-aec", "STORE")
    with running(OURS, tmp_path, *options) as scp:
        ran = dcmtk.run(program, *titles, *(["-R"] if program == "storescu" else []), "127.0.0.1", scp.port, *files)
        lines = record.wait_for(7)

    assert ran.is_ok, ran
    assert [line for line in lines if line.startswith("/")] == [
        f"{scp.folder}/study_{study_uid(letter)}" for letter in "AB"
    ]
    assert sum(line.startswith("MODALITY|") for line in lines) == 5


def test_the_example_of_the_pages_works(tmp_path: Path) -> None:
    """Sort by Study Instance UID, and run a command at the end of a study."""
    record = Record(tmp_path, "do_something")
    path = ("/usr/bin/env", f"PATH={tmp_path}:{os.environ['PATH']}")
    options = ("-su", "study", "-tos", "0", "-xcs", "do_something #p")
    with running((*path, *OURS), tmp_path, *options) as scp:
        send(scp, *TWO)
        lines = record.wait_for(1)

    assert set(lines) == {f"{scp.folder}/study_{study_uid('A')}"}


@pytest.mark.parametrize("option", ["-ss", "-su"])
def test_what_comes_while_a_study_is_sent_on_is_sent_on_too(tmp_path: Path, option: str) -> None:
    """By the script of the page; with `-ss` it has a folder of its own."""
    script, sent, going = tmp_path / "do_something", tmp_path / "sent", tmp_path / "go"
    with running(OURS, tmp_path, folder=tmp_path / "there") as there:
        slow = tmp_path / "storescu"
        slow.write_text(f"""#!/bin/sh
            /usr/bin/storescu "$@" || exit 1
            pwd >> {sent}
            until [ -e {going} ]; do sleep 0.01; done\n""")
        slow.chmod(0o755)
        script.write_text(
            _script_of_the_page().replace("/usr/bin/storescu", str(slow)).replace("11112", str(there.port))
        )
        script.chmod(0o755)
        with running(OURS, tmp_path, option, "study", "-tos", "0", "-xcs", f"{script} #p") as scp:
            send(scp, small("A", 1))
            assert becomes_true(sent.exists)
            send(scp, small("A", 2))
            if option == "-ss":
                assert becomes_true(lambda: len(sent.read_text().split()) == 2)
            going.touch()
            assert becomes_true(lambda: list(scp.folder.iterdir()) == []), scp.process.output()
        files = there.files()
    folders = sent.read_text().split()

    assert files == sorted(f"SC.{small('A', number).SOPInstanceUID}" for number in (1, 2))
    assert (len(folders), len(set(folders))) == ((2, 2) if option == "-ss" else (2, 1))


def _script_of_the_page() -> str:
    page = Path(__file__).parents[2] / "docs/how-to/events.md"
    (found,) = re.findall(r"```sh\n(#!/bin/sh\n# do_something.*?)```", page.read_text(), re.DOTALL)
    return found


# What is received, and by whom


def test_nothing_is_run_for_what_is_not_kept(tmp_path: Path, record: Record) -> None:
    """DCMTK's storescp runs the command with the name of a file that may not be there."""
    with running(OURS, tmp_path, "-xs", "-xcr", f"{record} #f") as scp:
        with associate(scp) as scu:
            assert scu.store(SECONDARY_CAPTURE, "1.2.3", encoded(small("A", 1))).status == 0xA900
            assert store(scu, small("A", 2)) == 0
            scu.release()
        lines = record.wait_for(1)

    assert lines == [f"SC.{small('A', 2).SOPInstanceUID}"]


HOSTILE = ["$(touch x)", "`touch x`", ";touch x;", "-rf", "'\"\\", "#p#f", "a\nb", "../..", "* ?"]
GIVEN = ["__touch x_", "_touch x_", "_touch x_", "_rf", "___", "_p_f", None, ".._..", "_ _"]


@pytest.mark.parametrize("options", [(), ("--exec-shell",)], ids=["without a shell", "by a shell"])
def test_no_title_is_more_than_a_word_to_a_command(tmp_path: Path, record: Record, options: tuple[str, ...]) -> None:
    template = f"""{record} #a '#a' "#a" x#a""" + (" >> /dev/null" if options else "")
    here = tmp_path / "here"
    here.mkdir()
    with running(("/usr/bin/env", f"--chdir={here}", f"PYTHONPATH={Path.cwd()}", *OURS), tmp_path, "-xs", "-xcr",
                 template, *options) as scp:  # fmt: skip
        for title in HOSTILE:
            send(scp, small("A", 1), calling=title)
        lines = record.wait_for(len(HOSTILE))

    for line, given in zip(lines, GIVEN, strict=True):
        first, *others = line.split("|")
        assert given is None or first == given
        assert others == [first, first, f"x{first}"]
        assert re.fullmatch(r"[A-Za-z0-9 .:@_][A-Za-z0-9 .:@_-]*", first)
    assert list(here.iterdir()) == []


def test_a_folder_is_never_an_option(tmp_path: Path, record: Record) -> None:
    """The current folder is the output folder, and a study calls itself as an option is spelt."""
    made = small("A", 1, StudyInstanceUID="1.2.3")
    content = encoded(made).replace(b"1.2.3\0", b"-rf .\0")
    folder = tmp_path / "received"
    folder.mkdir()
    there = ("/usr/bin/env", f"--chdir={folder}", f"PYTHONPATH={Path.cwd()}")  # options first: else a variable
    words = ("-od", ".", "-su", "", "-xs", "-xcr", f"{record} #p")
    with running((*there, *OURS), tmp_path, *words, folder=folder) as scp:
        with associate(scp) as scu:
            assert scu.store(SECONDARY_CAPTURE, made.SOPInstanceUID, content).status == 0
            scu.release()
        lines = record.wait_for(1)

    assert lines == ["./-rf ."]


def test_values_are_quoted_for_a_shell(tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s $(odd) "here"'
    template = f'cd #p && ls > {tmp_path}/list && echo "#p" > {tmp_path}/path'
    with running(OURS, tmp_path, "-xs", "--exec-shell", "-xcr", template, folder=folder) as scp:
        send(scp, small("A", 1))

    assert (tmp_path / "list").read_text() == f"SC.{small('A', 1).SOPInstanceUID}\n"
    assert (tmp_path / "path").read_text() == f"{folder}\n"


# The end of a study


def ends_of(lines: Sequence[str]) -> list[str]:
    """The letters of the studies whose folders commands were told."""
    return [letter for line in lines for letter in "ABCD" if line.endswith(study_uid(letter))]


def test_interleaved_studies_of_two_associations_end_once_each(tmp_path: Path, record: Record) -> None:
    with (
        running(OURS, tmp_path, "-su", "", "-xs", "-xcs", f"{record} #p #a") as scp,
        associate(scp, calling="ONE") as one,
        associate(scp, calling="TWO") as two,
    ):
        for number in range(3):
            assert (store(one, small("A", number)), store(two, small("B", number))) == (0, 0)
        assert record.lines() == []
        assert store(one, small("C", 1)) == 0
        assert store(two, small("D", 1)) == 0
        lines = record.wait_for(2)
        one.release()
        two.release()

    assert sorted(lines) == sorted([f"{scp.folder}/{study_uid('A')}|ONE", f"{scp.folder}/{study_uid('B')}|TWO"])


def test_in_the_order_of_storescp_they_end_at_every_turn(tmp_path: Path, record: Record) -> None:
    with running(OURS, tmp_path, "-su", "", "-xs", "-xcs", f"{record} #p", "--study-order", "global") as scp:
        with associate(scp) as one, associate(scp) as two:
            for number in range(2):
                assert (store(one, small("A", number)), store(two, small("B", number))) == (0, 0)
            one.release()
            two.release()
        lines = record.wait_for(3)

    assert sorted(ends_of(lines)) == ["A", "A", "B"]


def test_instances_that_come_by_an_association_each_are_one_study(tmp_path: Path, record: Record) -> None:
    with running(OURS, tmp_path, "-su", "", "-xs", "-xcs", f"{record} #p") as scp:
        for number in range(3):
            send(scp, small("A", number))
        send(scp, small("B", 1))
        lines = record.wait_for(1)

    assert ends_of(lines) == ["A"]


def test_with_a_time_of_quiet_studies_that_take_turns_end_once_each(tmp_path: Path, record: Record) -> None:
    with running(OURS, tmp_path, "-ss", "", "-tos", "5", "-rns", "-xcs", f"{record} #p") as scp:
        send(scp, *(small(letter, number) for number in (1, 2) for letter in "ABC"))
        lines = record.wait_for(3)
        files = scp.files()

    assert len(set(lines)) == len(lines)
    assert sorted(Path(file).name for file in files) == ["SC000001"] * 3 + ["SC000002"] * 3


def test_the_end_of_a_study_that_goes_on_comes_again_and_no_file_is_lost(tmp_path: Path, record: Record) -> None:
    """DCMTK's storescp gives the second file the name of the first one, which is gone then."""
    with running(OURS, tmp_path, "-su", "", "-rns", "-xs", "-xcs", f"{record} #p") as scp:
        send(scp, small("A", 1), small("B", 1), small("A", 2), small("B", 2), small("C", 1))
        lines = record.wait_for(4)
        files = scp.files()

    assert ends_of(lines) == ["A", "B", "A", "B"]
    assert [Path(file).name for file in files if not file.startswith(study_uid("C"))] == ["SC000001", "SC000002"] * 2


def test_a_study_that_was_moved_away_at_its_end_goes_on_in_a_new_folder(tmp_path: Path) -> None:
    (tmp_path / "done").mkdir()
    with running(OURS, tmp_path, "-ss", "", "-xs", "-xcs", f"mv #p {tmp_path}/done") as scp:
        send(scp, small("A", 1), small("B", 1), small("A", 2), small("C", 1))
        files = scp.files()

    moved = [path for path in (tmp_path / "done").rglob("*") if path.is_file()]
    assert len({path.parent for path in moved}) == len(moved) == 3
    assert [Path(file).name for file in files] == [f"SC.{small('C', 1).SOPInstanceUID}"]


@pytest.mark.parametrize("ending", ["-rns", "-xcs"])
def test_the_end_of_a_study_waits_for_the_commands_that_have_its_files(tmp_path: Path, ending: str) -> None:
    going, found, ends = tmp_path / "go", tmp_path / "found", Record(tmp_path, "ends")
    copy = f"until [ -e {going} ]; do sleep 0.01; done; cat #p/#f | wc -c >> {found}"
    options = (
        "-su",
        "",
        "--exec-shell",
        "-xcr",
        copy,
        *((ending, f"{ends} #p; rm -r #p") if ending == "-xcs" else (ending,)),
    )
    with running(OURS, tmp_path, *options) as scp:
        send(scp, small("A", 1), small("A", 2), small("B", 1))
        send(scp, small("C", 1))  # a study that has ended holds no association up
        names = [f"{study_uid('A')}/SC.{small('A', number).SOPInstanceUID}" for number in (1, 2)]
        assert set(names) <= set(scp.files())
        assert ends.lines() == []
        going.touch()
        assert becomes_true(lambda: found.exists() and len(found.read_text().split()) == 4)
        assert becomes_true(lambda: not set(names) & set(scp.files()))

    assert "0" not in found.read_text().split()


def test_without_a_command_quiet_ends_the_folder_of_a_study(tmp_path: Path) -> None:
    with running(OURS, tmp_path, "-ss", "", "-tos", "0") as scp:
        number = 0

        def has_two_folders() -> bool:
            nonlocal number
            number += 1
            send(scp, small("A", number))
            return len(list(scp.folder.iterdir())) > 1

        assert becomes_true(has_two_folders)


# Beside everything else


def waiting(tmp_path: Path) -> str:
    """A command that says its number and does not end by itself."""
    script = tmp_path / "wait"
    script.write_text(f'#!/bin/sh\necho $$ >> "$0.pids"\nexec sleep {FOREVER}\n')
    script.chmod(0o755)
    return str(script)


def pids(tmp_path: Path) -> list[int]:
    found = tmp_path / "wait.pids"
    return [int(pid) for pid in found.read_text().split()] if found.exists() else []


def test_a_command_that_does_not_end_holds_nothing_up(tmp_path: Path) -> None:
    with running(OURS, tmp_path, "-xcr", waiting(tmp_path)) as scp:
        send(scp, *(small("A", number) for number in range(40)))
        files = scp.files()
        assert becomes_true(lambda: len(pids(tmp_path)) == 32)
        send(scp, small("A", 41))

    assert len(files) == 40


def test_what_is_awaited_holds_up_its_association_and_no_other(tmp_path: Path) -> None:
    with running(OURS, tmp_path, "-xs", "-xcr", waiting(tmp_path)) as scp, associate(scp) as first:
        assert store(first, small("A", 1)) == 0
        assert becomes_true(lambda: len(pids(tmp_path)) == 1)
        with associate(scp) as second:
            assert store(second, small("A", 2)) == 0
        assert becomes_true(lambda: len(pids(tmp_path)) == 2)
        os.kill(pids(tmp_path)[0], signal.SIGTERM)
        assert store(first, small("A", 3)) == 0
        assert scp.process.stop() == -signal.SIGTERM
    assert "W: ended by signal 15" in scp.process.output()


def test_when_it_ends_what_runs_goes_on_and_what_waits_is_named(tmp_path: Path) -> None:
    with running(OURS, tmp_path, "-v", "-xcr", f"{waiting(tmp_path)} #f") as scp:
        send(scp, *(small("A", number) for number in range(33)))
        assert becomes_true(lambda: len(pids(tmp_path)) == 32)
        os.kill(scp.process.pid, signal.SIGTERM)
        assert scp.process.wait() == -signal.SIGTERM
        assert all(Path(f"/proc/{pid}").exists() for pid in pids(tmp_path))
        scp.process.kill_group()
    said = scp.process.output()

    assert "W: 1 commands were in line and are not run" in said
    assert f"I: not run: {tmp_path}/wait SC." in said


def test_when_it_ends_studies_that_are_open_are_named_and_not_ended(tmp_path: Path, record: Record) -> None:
    with running(OURS, tmp_path, "-v", "-su", "", "-tos", FOREVER, "-rns", "-xcs", f"{record} #p") as scp:
        send(scp, small("A", 1))
        assert scp.process.stop() == -signal.SIGTERM
    said = scp.process.output()

    assert "W: 1 studies were open and have not been ended" in said
    assert f"I: open: {scp.folder}/{study_uid('A')}" in said
    assert (record.lines(), scp.files()) == ([], [f"{study_uid('A')}/SC.{small('A', 1).SOPInstanceUID}"])


def test_a_signal_that_cuts_associations_ends_no_study(tmp_path: Path, record: Record) -> None:
    with (
        running(OURS, tmp_path, "-su", "", "-xcs", f"{record} #p") as scp,
        associate(scp) as one,
        associate(scp) as two,
    ):
        assert (store(one, small("A", 1)), store(two, small("B", 1))) == (0, 0)
        assert scp.process.stop() == -signal.SIGTERM

    assert "W: 2 studies were open and have not been ended" in scp.process.output()
    assert record.lines() == []


def test_no_command_is_left_as_a_zombie(tmp_path: Path, record: Record) -> None:
    with running(OURS, tmp_path, "-xcr", f"{record} #f") as scp:
        send(scp, *(small("A", number) for number in range(20)))
        record.wait_for(20)

        assert becomes_true(lambda: _children(scp.process.pid) == [])


def _children(pid: int) -> list[str]:
    """All of them, those too that have ended and were not waited for."""
    return [child for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()]


def test_no_socket_goes_to_a_command(tmp_path: Path) -> None:
    script = tmp_path / "look"
    script.write_text('#!/bin/sh\nfor each in /proc/$$/fd/*; do readlink "$each"; done > "$0.out"\n')
    script.chmod(0o755)
    with running(OURS, tmp_path, "-xs", "-xcr", str(script)) as scp:
        send(scp, small("A", 1))
        assert becomes_true(lambda: (tmp_path / "look.out").exists())
    found = (tmp_path / "look.out").read_text()

    assert os.devnull in found
    assert "socket:" not in found


def test_a_command_that_cannot_be_started_is_told_with_what_to_do(tmp_path: Path) -> None:
    with running(OURS, tmp_path, "-xs", "-xcr", "no_such_program #f") as scp:
        send(scp, small("A", 1), small("A", 2))
        said = scp.process.output()

    assert "E: cannot execute 'no_such_program SC." in said
    assert "is its whole path needed? What is a word of the shell and no program needs --exec-shell" in said


@pytest.mark.parametrize(
    "options, said",
    [
        (("-xcr", "x #f > log"), "F: --exec-on-reception: > means something to a shell only; put it in quotes, or add "
         "--exec-shell"),
        (("-su", "", "-xcs", "x 'y"), "F: --exec-on-eostudy: a quote is open: 'y"),
        (("-xcr", ""), "F: --exec-on-reception: it is empty"),
        (("-xcr", "#a"), "F: --exec-on-reception: who sends would choose the program by #a"),
    ],
)  # fmt: skip
def test_a_line_that_is_no_command_keeps_it_from_starting(tmp_path: Path, options: Sequence[str], said: str) -> None:
    code, output = run(OURS, tmp_path, *options, "11112")

    assert (code, output.strip()) == (1, said)


@pytest.mark.parametrize("option", ["-xcr", "-xcs"])
def test_one_at_a_time_when_all_is_serial(tmp_path: Path, option: str) -> None:
    """With `--single-process -xs`, as with DCMTK's storescp."""
    script = tmp_path / "alone"
    script.write_text('#!/bin/sh\nmkdir "$0.running" || echo "not alone" >> "$0.log"\nsleep 0.1\nrmdir "$0.running"\n'
                      'echo alone >> "$0.log"\n')  # fmt: skip
    script.chmod(0o755)
    with running(OURS, tmp_path, "--single-process", "-xs", "-su", "", "-tos", "0", option, str(script)) as scp:
        for letter in "ABCA":
            send(scp, small(letter, 1))
        log = tmp_path / "alone.log"
        assert becomes_true(lambda: log.exists() and len(log.read_text().splitlines()) >= 4)

    assert set(log.read_text().splitlines()) == {"alone"}


Inetd = Callable[..., int]


@pytest.fixture
def inetd(tmp_path: Path) -> Inetd:
    """Runs storescp for one connection; the exit code."""

    def begin(*options: str, sent: Sequence[FileDataset]) -> int:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            ours = socket.create_connection(listening.getsockname())
            theirs, _ = listening.accept()
        words = [*words_of(OURS, "storescp"), "-id", "-od", str(tmp_path), *options]
        with subprocess.Popen(words, stdin=theirs.fileno(), stderr=subprocess.DEVNULL) as process:
            theirs.close()
            with Passed(ours).associate([Proposed(SECONDARY_CAPTURE)]) as scu:
                assert [store(scu, each) for each in sent] == [0] * len(sent)
                scu.release()
            return process.wait(60)

    return begin


def test_inetd_serves_the_commands_of_its_connection(tmp_path: Path, record: Record, inetd: Inetd) -> None:
    code = inetd("-xcr", f"{record} #f", sent=[small("A", number) for number in range(3)])

    assert code == 0
    assert sorted(record.wait_for(3)) == sorted(f"SC.{small('A', number).SOPInstanceUID}" for number in range(3))


@pytest.mark.parametrize("command", [DCMTK, OURS], ids=["DCMTK's", "ours"])
@pytest.mark.parametrize("options", ["-su p -xcs c --fork", "-su p -rns --fork", "-id -su p -xcs c", "-xcs c", "-rns"])
def test_which_options_go_together_is_as_in_storescp(tmp_path: Path, command: Command, options: str) -> None:
    code, _ = run(command, tmp_path, *options.split(), *([] if "-id" in options else ["11112"]))

    assert code == 1


def test_with_fork_what_is_received_runs_commands(tmp_path: Path, record: Record) -> None:
    with running(OURS, tmp_path, "--fork", "-xcr", f"{record} #f") as scp:
        send(scp, small("A", 1))

        assert record.wait_for(1) == [f"SC.{small('A', 1).SOPInstanceUID}"]
