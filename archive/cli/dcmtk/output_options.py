"""Options for how received data sets are written: bit by bit, or anew with this transfer syntax and those lengths."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from archive.cli.dcmtk.options import CommandLine, Group, Option
from archive.cli.dcmtk.transfer_syntax_options import ACCEPT_ALL, COMPRESSED_PREFERENCES, PREFER_OPTIONS
from archive.dicom import uids

if TYPE_CHECKING:
    from archive.dicom.normal import EncodingOptions

DEFAULT_DEFLATE_LEVEL = 6

OUTPUT = Group("output options:")
FOLDER = Group(
    "general:",
    (
        Option(
            "--output-directory",
            "-od",
            "write received objects to existing directory d",
            values=1,
            value_help='[d]irectory: string (default: ".")',
        ),
    ),
    is_part=True,
)
NEW_VRS = Group(
    "post-1993 value representations:",
    (
        Option("--enable-new-vr", "+u", "enable support for new VRs (UN/UT) (default)"),
        Option("--disable-new-vr", "-u", "disable support for new VRs, convert to OB"),
    ),
    is_part=True,
)
COMPRESSION_LEVEL = Option(
    "--compression-level",
    "+cl",
    "0=uncompressed, 1=fastest, 9=best compression",
    values=1,
    value_help="[l]evel: integer (default: 6)",
)
_ENCODING = (
    Group(
        "bit preserving mode:",
        (
            Option("--normal", "-B", "allow implicit format conversions (default)"),
            Option("--bit-preserving", "+B", "write data exactly as read"),
        ),
        is_part=True,
    ),
    Group(
        "output file format:",
        (
            Option("--write-file", "+F", "write file format (default)"),
            Option("--write-dataset", "-F", "write data set without file meta information"),
        ),
        is_part=True,
    ),
    Group(
        "output transfer syntax (not with --bit-preserving or compressed transmission):",
        (
            Option("--write-xfer-same", "+t=", "write with same TS as input (default)"),
            Option("--write-xfer-little", "+te", "write with explicit VR little endian TS"),
            Option("--write-xfer-big", "+tb", "write with explicit VR big endian TS"),
            Option("--write-xfer-implicit", "+ti", "write with implicit VR little endian TS"),
            Option("--write-xfer-deflated", "+td", "write with deflated expl. VR little endian TS"),
        ),
        is_part=True,
    ),
    NEW_VRS,
    Group(
        "group length encoding (not with --bit-preserving):",
        (
            Option("--group-length-recalc", "+g=", "recalculate group lengths if present (default)"),
            Option("--group-length-create", "+g", "always write with group length elements"),
            Option("--group-length-remove", "-g", "always write without group length elements"),
        ),
        is_part=True,
    ),
    Group(
        "length encoding in sequences and items (not with --bit-preserving):",
        (
            Option("--length-explicit", "+e", "write with explicit lengths (default)"),
            Option("--length-undefined", "-e", "write with undefined lengths"),
        ),
        is_part=True,
    ),
    Group(
        "data set trailing padding (not with --write-dataset or --bit-preserving):",
        (
            Option("--padding-off", "-p", "no padding (default)"),
            Option(
                "--padding-create",
                "+p",
                "align file on multiple of f bytes\nand items on multiple of i bytes",
                values=2,
                value_help="[f]ile-pad [i]tem-pad: integer",
            ),
        ),
        is_part=True,
    ),
    Group(
        "deflate compression level (only with -xd or --write-xfer-deflated/same):",
        (COMPRESSION_LEVEL,),
        is_part=True,
    ),
)
GROUPS = (OUTPUT, *_ENCODING)
"""Those of dcmqrscp."""

_UNKNOWN_VRS = Group(
    "handling of defined length UN elements:",
    (
        Option("--retain-un", "-uc", "retain elements as UN (default)"),
        Option("--convert-un", "+uc", "convert to real VR if known"),
    ),
    is_part=True,
)
_HEADINGS_OF_MOVESCU = {
    "post-1993 value representations:": "post-1993 value representations (not with --bit-preserving):",
}
_HEADINGS_OF_RECEIVERS = _HEADINGS_OF_MOVESCU | {
    "deflate compression level (only with -xd or --write-xfer-deflated/same):": (
        "deflate compression level (only with --write-xfer-deflated/same):"
    ),
}


def _groups_of_receivers(headings: Mapping[str, str]) -> Iterator[Group]:
    for group in _ENCODING:
        if group is _ENCODING[-1]:
            yield _UNKNOWN_VRS
        yield replace(group, heading=headings.get(group.heading, group.heading))


RECEIVER_GROUPS = tuple(_groups_of_receivers(_HEADINGS_OF_RECEIVERS))
"""Those of storescp, without what stands before and behind them."""
MOVE_GROUPS = tuple(_groups_of_receivers(_HEADINGS_OF_MOVESCU))
"""Those of movescu, likewise."""

_TRANSFER_SYNTAXES = {
    "--write-xfer-same": None,
    "--write-xfer-little": uids.EXPLICIT_VR_LITTLE_ENDIAN,
    "--write-xfer-big": uids.EXPLICIT_VR_BIG_ENDIAN,
    "--write-xfer-implicit": uids.IMPLICIT_VR_LITTLE_ENDIAN,
    "--write-xfer-deflated": uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
}
GroupLengths = Literal["recalculate", "create", "remove"]
_GROUP_LENGTH_OF: dict[str, GroupLengths] = {
    "--group-length-recalc": "recalculate",
    "--group-length-create": "create",
    "--group-length-remove": "remove",
}
# The first of each is the default.
_GROUP_LENGTHS = tuple(_GROUP_LENGTH_OF)
_LENGTHS = ("--length-explicit", "--length-undefined")
_PADDINGS = ("--padding-off", "--padding-create")
_VRS = ("--enable-new-vr", "--disable-new-vr")
_UN = ("--retain-un", "--convert-un")


@dataclass(frozen=True, slots=True)
class Output:
    """How data sets are written; the defaults are DCMTK's."""

    is_bit_preserving: bool | None = None
    """None if neither mode was asked for; DCMTK then writes anew."""
    has_file_meta: bool = True
    transfer_syntax: str | None = None
    """None: that of the data set as received."""
    has_new_vrs: bool = True
    group_lengths: GroupLengths = "recalculate"
    has_explicit_lengths: bool = True
    padding_bytes: tuple[int, int] | None = None
    """The file's and an item's length is a multiple of these."""
    deflate_level: int = 6
    converts_un: bool = False
    names_defaults: bool = False
    """Whether lengths, or no padding, are asked for by name as DCMTK has them by default."""

    @property
    def encoding(self) -> "EncodingOptions":
        """How data sets are written anew; raises Misconfigured for what cannot be."""
        from archive.dicom.normal import EncodingOptions, GroupLengths, SequenceLengths  # not to print help

        file_bytes, item_bytes = self.padding_bytes or (0, 0)
        return EncodingOptions(
            transfer_syntax_uid=self.transfer_syntax,
            group_lengths=GroupLengths(self.group_lengths),
            sequence_lengths=SequenceLengths.EXPLICIT if self.has_explicit_lengths else SequenceLengths.UNDEFINED,
            file_padding_bytes=file_bytes,
            item_padding_bytes=item_bytes,
            old_vrs_only=not self.has_new_vrs,
            converts_un=self.converts_un,
            deflate_level=self.deflate_level,
        )

    @property
    def is_anew(self) -> bool:
        """Whether data sets are written anew.

        DCMTK's programs do so unless told otherwise; here bytes stay as they came unless an option asks for more.
        """
        if self.is_bit_preserving is not None:
            return not self.is_bit_preserving
        return self.names_defaults or self.padding_bytes is not None or self.encoding != Output().encoding


def folder(given: CommandLine) -> Path:
    """Where files go."""
    return Path(given.value("--output-directory") or ".")


def output(given: CommandLine, proposed: str) -> Output:
    """How dcmqrscp writes, as `given` says beside the `proposed` preset; raises Misconfigured."""
    deflates = proposed == "deflated"
    return _output(given, "--propose-deflated, --write-xfer-deflated or --write-xfer-same", deflates)


def received(given: CommandLine, proposed: str = "") -> Output:
    """How storescp writes, as `given` says, and movescu beside the `proposed` preset; raises Misconfigured."""
    is_bit_preserving = given.last("--normal", "--bit-preserving") == "--bit-preserving"
    vrs = given.last(*_VRS)
    given.refuse_together(vrs or "", "--bit-preserving", vrs is not None and is_bit_preserving)
    bases = "--write-xfer-deflated or --write-xfer-same"
    decided = _output(given, f"--propose-deflated, {bases}" if proposed else bases, proposed == "deflated")
    return replace(decided, converts_un=given.last(*_UN) == "--convert-un")


def _output(given: CommandLine, deflating_options: str, deflates: bool) -> Output:
    mode = given.last("--normal", "--bit-preserving")
    is_bit_preserving = mode == "--bit-preserving"
    has_file_meta = given.last("--write-file", "--write-dataset") != "--write-dataset"
    written = given.last(*_TRANSFER_SYNTAXES)
    transfer_syntax = _TRANSFER_SYNTAXES[written] if written else None
    if written and transfer_syntax is not None:
        given.refuse_together(written, "--bit-preserving", is_bit_preserving)
        preference = given.last(*(option.long for option in (*PREFER_OPTIONS, ACCEPT_ALL)))
        given.refuse_together(written, preference or "", preference in COMPRESSED_PREFERENCES)
    group_lengths, lengths = given.last(*_GROUP_LENGTHS), given.last(*_LENGTHS)
    for option in (group_lengths, lengths):
        if option is not None:
            given.refuse_together(option, "--bit-preserving", is_bit_preserving)
    return Output(
        is_bit_preserving=None if mode is None else is_bit_preserving,
        has_file_meta=has_file_meta,
        transfer_syntax=transfer_syntax,
        has_new_vrs=has_new_vrs(given),
        group_lengths=_GROUP_LENGTH_OF[group_lengths] if group_lengths else "recalculate",
        has_explicit_lengths=lengths != "--length-undefined",
        padding_bytes=_padding(given, has_file_meta, is_bit_preserving),
        deflate_level=_deflate_level(given, deflating_options, deflates, transfer_syntax),
        names_defaults=any(given.last(*options) == options[0] for options in (_GROUP_LENGTHS, _LENGTHS, _PADDINGS)),
    )


def has_new_vrs(given: CommandLine) -> bool:
    """Whether VRs that came after 1993 are written."""
    return given.last(*_VRS) != "--disable-new-vr"


def _padding(given: CommandLine, has_file_meta: bool, is_bit_preserving: bool) -> tuple[int, int] | None:
    if given.last(*_PADDINGS) != "--padding-create":
        return None
    given.refuse_together("--padding-create", "--write-dataset", not has_file_meta)
    given.refuse_together("--padding-create", "--bit-preserving", is_bit_preserving)
    file_bytes, item_bytes = given.all_unsigned("--padding-create", 0)
    return file_bytes, item_bytes


def _deflate_level(given: CommandLine, bases: str, deflates: bool, transfer_syntax: str | None) -> int:
    if given.has("--compression-level"):
        writes_deflated = transfer_syntax in (None, uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
        given.require("--compression-level", bases, deflates or writes_deflated)
    return deflate_level(given)


def deflate_level(given: CommandLine) -> int:
    """0 (fast) to 9 (small); raises Misconfigured."""
    level = given.unsigned("--compression-level", 0, 9)
    return DEFAULT_DEFLATE_LEVEL if level is None else level
