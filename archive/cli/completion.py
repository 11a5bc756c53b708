"""`archive completion`: the script by which a shell completes commands and options of `archive`, and names."""

import click
from click.shell_completion import get_completion_class

from archive.cli.main import PROGRAM, archive
from archive.cli.options import example

__all__ = ["completion"]

SHELLS = ("bash", "zsh", "fish")


@click.command("completion", epilog=example("archive completion bash"))
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print what makes a shell complete commands, options and names.

    In ~/.bashrc or ~/.zshrc, evaluate what it prints; fish takes it from ~/.config/fish/completions/archive.fish. Names
    come from the database that the line or the environment names, if it answers within a second.
    """
    kind = get_completion_class(shell)
    assert kind is not None  # one of SHELLS
    click.echo(kind(archive, {}, PROGRAM, f"_{PROGRAM.upper()}_COMPLETE").source())
