"""The options of `archive ae` for how a title answers, whoever calls: what it negotiates, waits for, checks, writes."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from archive.cli.name_completion import names_of
from archive.cli.options import Limit, columns
from archive.dicom.transfer_syntax_presets import ACCEPT

__all__ = ["answering_options", "settings"]

_ASCII = "ascii"
_COLUMNS = {
    "max_pdu": "max_pdu_bytes",
    "dimse_timeout": "dimse_timeout_seconds",
    "idle_timeout": "idle_timeout_seconds",
    "override_character_set": "character_set_overrides",
    "fall_back": "character_set_falls_back",
    "transliterate": "character_set_transliterates",
    "discard_characters": "character_set_discards",
}


def _flag(name: str, help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(f"--{name}/--no-{name}", default=None, help=help)


def answering_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to `archive ae add` and `set`."""
    for option in (
        _flag("discard-characters", "Leave out characters that do not fit the set; by default another set is taken."),
        _flag("transliterate", "Write characters that do not fit the set as ones that look alike (à as a)."),
        _flag("fall-back", "Take the other set when an answer does not fit the first; by default it does."),
        _flag("override-character-set", "Answer in --character-set before the set that a query asks for."),
        click.option(
            "--character-set",
            metavar="SET",
            help="The set beside the one that a query asks for, as 'ISO_IR 100', or ascii; by default 'ISO_IR 192'.",
        ),
        _flag("strict-move", "Refuse C-MOVE and C-GET by more than the unique keys (A900); by default they narrow."),
        _flag("strict-find", "Refuse C-FIND with keys that its level has no place for (A900); by default FF01."),
        click.option(
            "--idle-timeout",
            type=Limit(least=0),
            metavar="SECONDS|none",
            help="Between two commands; 0 is for ever, none as the service has it.",
        ),
        click.option(
            "--dimse-timeout",
            type=Limit(least=0),
            metavar="SECONDS|none",
            help="For the rest of a message; 0 is for ever, none as the service has it.",
        ),
        click.option(
            "--max-pdu",
            type=Limit(1_048_576, least=4096),
            metavar="BYTES|none",
            help="Largest P-DATA-TF that callers may send; none as the service has it.",
        ),
        click.option(
            "--profile",
            shell_complete=names_of("profile"),
            metavar="NAME|none",
            help="Accept by this association profile: it replaces --accepts for what is stored, and more.",
        ),
        click.option(
            "--accepts",
            type=click.Choice(list(ACCEPT)),
            metavar="PRESET",
            help="Transfer syntaxes taken, best first; by default held: all that are known, uncompressed first.",
        ),
    ):
        command = option(command)
    return command


def settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, as columns of ae_titles."""
    chosen = {_COLUMNS.get(name, name): value for name, value in columns(given).items()}
    if given.get("character_set") is not None:
        chosen["character_set"] = "" if given["character_set"].lower() == _ASCII else given["character_set"]
    return chosen
