"""The options of `archive area` for how data sets are written: as received, anew by chosen rules, or not at all."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from archive.dicom.normal import MAX_PADDING_BYTES, GroupLengths, SequenceLengths
from archive.dicom.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from archive.registry.changes import ENCODING_SETTINGS
from archive.registry.snapshot import Area

__all__ = ["described", "hint", "settings", "writing_options"]

RECEIVED, NORMALISED = "received", "normalised"

# Words as DCMTK's --write-xfer-... has them; None is the transfer syntax in which an instance came.
SYNTAXES = {
    "same": None,
    "little": EXPLICIT_VR_LITTLE_ENDIAN,
    "big": EXPLICIT_VR_BIG_ENDIAN,
    "implicit": IMPLICIT_VR_LITTLE_ENDIAN,
    "deflated": DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
}
_WORDS = {uid: word for word, uid in SYNTAXES.items()}
_BYTES = click.IntRange(0, MAX_PADDING_BYTES)


def writing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to `archive area add` and `set`."""
    for option in (
        click.option(
            "--discard/--no-discard",
            "discards",
            default=None,
            help="Answer every store with Success and keep nothing: for tests of senders.",
        ),
        click.option(
            "--deflate-level", type=click.IntRange(0, 9), metavar="LEVEL", help="0 (fast) to 9 (small); by default 6."
        ),
        click.option(
            "--convert-un/--no-convert-un",
            "converts_un",
            default=None,
            help="Give elements of VR UN the VR of the dictionary; by default they keep UN.",
        ),
        click.option(
            "--old-vrs/--no-old-vrs",
            "old_vrs_only",
            default=None,
            help="Write OB for the VRs that came after 1993: OD OF OL OV SV UC UN UR UT UV; by default they stay.",
        ),
        click.option(
            "--item-padding",
            "item_padding_bytes",
            type=_BYTES,
            metavar="BYTES",
            help="Pad items of sequences to a multiple of so many bytes; 0 (default): none.",
        ),
        click.option(
            "--file-padding",
            "file_padding_bytes",
            type=_BYTES,
            metavar="BYTES",
            help="Pad files to a multiple of so many bytes; 0 (default): none.",
        ),
        click.option(
            "--sequence-lengths",
            type=click.Choice([each.value for each in SequenceLengths]),
            help="How sequences and items end: by their length (explicit, default) or by a delimiter.",
        ),
        click.option(
            "--group-lengths",
            type=click.Choice([each.value for each in GroupLengths]),
            help="Correct the group length elements that are there (default), write one for every group, or none.",
        ),
        click.option(
            "--transfer-syntax",
            "written_transfer_syntax",
            type=click.Choice(list(SYNTAXES)),
            help="Write files in Explicit VR Little or Big Endian, Implicit VR, deflated, or the one in which an "
            "instance came (same, default).",
        ),
        click.option(
            "--writing",
            type=click.Choice([RECEIVED, NORMALISED]),
            help="received (default): data sets are kept byte for byte. normalised: they are written anew, as the "
            "options below say.",
        ),
    ):
        command = option(command)
    return command


def settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options that were given, as columns."""
    chosen = dict(given)
    if "written_transfer_syntax" in chosen:
        chosen["written_transfer_syntax"] = SYNTAXES[chosen["written_transfer_syntax"]]
    return chosen


def described(area: Area) -> dict[str, Any]:
    """How an area writes, in the words of the options."""
    options = {column: getattr(area.encoding, name) for name, column in ENCODING_SETTINGS.items()}
    syntax = _WORDS[options.pop("written_transfer_syntax")]
    writing = NORMALISED if area.normalises else RECEIVED
    return {"writing": writing, "transfer_syntax": syntax} | options | {"discards": area.discards}


def hint(area: Area, changed: Mapping[str, Any]) -> str | None:
    """What to say when settings were changed that have no effect yet."""
    if area.discards or area.normalises or not set(changed) & set(ENCODING_SETTINGS.values()):
        return None
    return f"Data sets are kept as they come until you run: archive area set {area.name} --writing {NORMALISED}"
