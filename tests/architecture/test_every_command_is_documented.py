"""Every command says what it does and ends its help with an example that it would itself accept."""

import shlex

import click
import pytest

from archive.cli import main as cli

# What prints no JSON, and why.
WITHOUT_JSON = {
    "serve": "it runs until it is stopped, and what it says is its log: see --log-format",
    "completion": "it prints a script, which a shell evaluates",
}


def command(words: str) -> tuple[click.Command, click.Context]:
    """The command of these words, with the context in which it runs."""
    found: click.Command = cli.archive
    context = click.Context(found, info_name=cli.PROGRAM)
    for word in words.split():
        assert isinstance(found, click.Group)
        below = found.get_command(context, word)
        assert below is not None, f"there is no command {words}"
        found, context = below, click.Context(below, parent=context, info_name=word)
    return found, context


def examples(text: str) -> list[list[str]]:
    """The command lines of an example."""
    lines = text.replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.strip().startswith(cli.PROGRAM)]


@pytest.mark.parametrize("words", cli.COMMANDS)
def test_help_says_what_the_command_does_and_describes_every_option(words: str) -> None:
    found, context = command(words)

    assert found.help, "no docstring"
    assert found.help.splitlines()[0].endswith((".", "for", "at")) or "." in found.help
    undescribed = [
        parameter.name
        for parameter in found.get_params(context)
        if isinstance(parameter, click.Option) and not parameter.help
    ]
    assert undescribed == []


@pytest.mark.parametrize("words", cli.COMMANDS)
def test_help_ends_with_an_example_that_the_command_accepts(words: str) -> None:
    found, context = command(words)
    shown = examples(found.epilog or "")

    assert shown, "no example"
    assert found.get_help(context).rstrip().endswith((found.epilog or "").splitlines()[-1].strip())
    for line in shown:
        path = [cli.PROGRAM, *words.split()]
        assert line[: len(path)] == path
        found.make_context(words, line[len(path) :])  # parses, and does not run


@pytest.mark.parametrize("words", sorted(cli.COMMANDS.keys() - {"completion"}))
def test_every_command_takes_the_settings_that_name_the_archive(words: str) -> None:
    found, _ = command(words)

    assert {"data", "database", "config"} <= {parameter.name for parameter in found.params}


@pytest.mark.parametrize("words", cli.COMMANDS)
def test_every_command_prints_json_but_for_few(words: str) -> None:
    found, _ = command(words)
    options = {name for parameter in found.params for name in parameter.opts}

    assert ("--json" in options) == (words not in WITHOUT_JSON)


@pytest.mark.parametrize("line", [*cli.GROUPS.values(), *(line for _, line in cli.COMMANDS.values())])
def test_lists_say_one_line_about_each_command(line: str) -> None:
    assert line.endswith(".")
    assert len(line) <= 60


# Options whose values are names of things, and arguments by which a command finds one.
_NAMES = {"--area", "--at", "--peer", "--group", "--vendor", "--member", "--to", "--as", "--profile", "--leave"}
_FINDS = {"show", "set", "remove", "evict", "usage", "echo", "export"}
_NAMED = {"area", "ae", "peer", "group", "user", "profile"}


@pytest.mark.parametrize("words", cli.COMMANDS)
def test_a_shell_completes_every_name_that_a_command_takes(words: str) -> None:
    found, _ = command(words)
    group, _, verb = words.rpartition(" ")
    names = [
        parameter
        for parameter in found.params
        if (isinstance(parameter, click.Option) and _NAMES & set(parameter.opts) and not parameter.is_flag)
        or (isinstance(parameter, click.Argument) and group in _NAMED and verb in _FINDS)
    ]

    assert [each.name for each in names if each._custom_shell_complete is None] == []
