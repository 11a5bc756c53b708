"""How a run of a command ends: exit code, and one sentence."""

import os
import subprocess
import sys

import click
import pytest

from archive.cli import main as cli
from archive.errors import ArchiveError, CannotConnect, DatabaseFailed, Misconfigured, PeerAborted, SchemaOutOfDate


def run(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    return ended.value.code


@pytest.mark.parametrize(
    "arguments,sentence",
    [
        pytest.param(["chek"], "No such command 'chek'. Did you mean 'check'? See: archive --help", id="group"),
        pytest.param(
            ["rule", "alow"], "No such command 'alow'. Did you mean 'allow'? See: archive rule --help", id="word"
        ),
        pytest.param(["area", "show"], "Missing argument 'NAME'. See: archive area show --help", id="argument"),
        pytest.param(
            ["area", "list", "--jsn"],
            "No such option '--jsn'. Did you mean '--json'? See: archive area list --help",
            id="option",
        ),
        pytest.param(
            ["peer", "add", "X", "--title", "A", "--host", "h", "--port", "0"],
            "Invalid value for '--port': 0 is not in the range 1<=x<=65535. See: archive peer add --help",
            id="range",
        ),
        pytest.param(
            ["rule", "allow", "--at", "A", "--any", "--can", "stor"],
            "Invalid value for '--can': 'stor': expected a list of echo,store,find,move,get,shutdown. "
            "See: archive rule allow --help",
            id="operations",
        ),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(*arguments)

    assert code == 2
    assert capsys.readouterr() == ("", f"{sentence}\n")


@pytest.mark.parametrize(
    "error,code,sentence",
    [
        (Misconfigured("There is an area X already"), 2, "There is an area X already."),
        (Misconfigured("This is not a network", network="10/99"), 2, "This is not a network (network 10/99)."),
        (
            DatabaseFailed(reason="connection refused"),
            1,
            "The database cannot be used: connection refused. Look at --database, then run: archive db check",
        ),
        (
            SchemaOutOfDate("Old; run: archive db upgrade", found="0001"),
            1,
            "Old; run: archive db upgrade (found 0001).",
        ),
        (
            CannotConnect(host="h", port=104, reason="[Errno 111] refused"),
            1,
            "The peer cannot be reached (host h, port 104): refused.",
        ),
        (PeerAborted(source=2, reason=0), 1, "The peer aborted the association (source 2): 0."),
    ],
)
def test_an_error_is_one_sentence_and_its_branch_is_the_exit_code(
    error: ArchiveError, code: int, sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command()
    def failing() -> None:
        raise error

    monkeypatch.setitem(cli.COMMANDS, "serve", ("", ""))
    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: failing)

    assert run("serve") == code
    assert capsys.readouterr() == ("", f"{sentence}\n")


def test_every_group_lists_what_is_below_it() -> None:
    below = {words: cli.LazyGroup(words, "").list_commands(click.Context(cli.archive)) for words in ("", *cli.GROUPS)}

    assert set(below[""]) == {words for words in cli.COMMANDS if " " not in words} | set(cli.GROUPS) | set(cli.FACES)
    assert {f"{group} {word}".strip() for group, words in below.items() for word in words} == (
        set(cli.GROUPS) | set(cli.COMMANDS) | set(cli.FACES)
    )


@pytest.mark.parametrize(
    "line, offered",
    [
        ("archive ar", ["area"]),
        ("archive area s", ["set", "show"]),
        ("archive completion ", ["bash", "fish", "zsh"]),
        ("archive area list --js", ["--json"]),
    ],
)
def test_a_shell_completes_commands_and_options(line: str, offered: list[str]) -> None:
    words = line.split(" ")
    environment = os.environ | {
        "_ARCHIVE_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }

    done = subprocess.run(
        [sys.executable, "-m", "archive"], env=environment, capture_output=True, text=True, check=True
    )

    assert sorted(each.partition(",")[2] for each in done.stdout.split()) == offered
