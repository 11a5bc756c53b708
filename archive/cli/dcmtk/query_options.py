"""Options that the clients of Query/Retrieve share: keys, information models, query files, how requests are encoded."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from archive.cli.dcmtk import output_options, transfer_syntax_options
from archive.cli.dcmtk.options import CommandLine, Group, Option, Parameter
from archive.dicom import transfer_syntax_presets
from archive.dimse.commands import HIGH, LOW, MEDIUM
from archive.errors import Misconfigured

QUERY_FILES = Parameter("dcmfile-in", "DICOM query file(s)", is_optional=True, is_repeatable=True)
KEYS = Group(
    "override matching keys:",
    (
        Option(
            "--key",
            "-k",
            "override matching key",
            values=1,
            value_help='[k]ey: gggg,eeee="str", path or dict. name="str"',
        ),
    ),
    is_part=True,
)
# In the order of DCMTK's help for a data set without pixels; its words differ a little from those for images.
_PROPOSED = ("--propose-uncompr", "--propose-little", "--propose-big", "--propose-deflated", "--propose-implicit")
_PROPOSE_OPTIONS = {option.long: option for option in transfer_syntax_options.PROPOSE_OPTIONS}
TRANSFER_SYNTAXES = Group(
    "proposed transmission transfer syntaxes:", tuple(_PROPOSE_OPTIONS[long] for long in _PROPOSED), is_part=True
)
COMPRESSION = Group(
    "deflate compression level (only with --propose-deflated):", (output_options.COMPRESSION_LEVEL,), is_part=True
)
DEFAULT_COMPRESSION_LEVEL = 6
PRIORITY = Option(
    "--priority",
    "",
    "ask for it to be done with priority p\n(default: medium)",
    values=1,
    value_help="[p]riority: string constant (low, medium, high)",
)
_PRIORITIES: Mapping[str, int] = {"low": LOW, "medium": MEDIUM, "high": HIGH}

# Option, its short name, what a model is called in help.
_MODELS = {
    "--worklist": ("-W", "modality worklist"),
    "--patient": ("-P", "patient root"),
    "--study": ("-S", "study root"),
    "--psonly": ("-O", "patient/study only"),
}


def models(default: str, *names: str) -> Group:
    """The information models of a face, of which one is its default; each by its long option."""
    return Group("query information model:", tuple(_model(name, name == default) for name in names), is_part=True)


def _model(name: str, is_default: bool) -> Option:
    short, text = _MODELS[name]
    return Option(name, short, f"use {text} information model" + " (default)" * is_default)


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """What is asked, of which model, and how it is sent."""

    model: str
    """Its long option."""
    keys: tuple[str, ...] = ()
    """As typed."""
    files: tuple[Path, ...] = ()
    transfer_syntaxes: tuple[str, ...] = transfer_syntax_presets.PROPOSE["uncompressed"]
    """Proposed, best first."""
    compression_level: int = DEFAULT_COMPRESSION_LEVEL
    """Of a deflated identifier, 0 to 9."""
    old_vrs_only: bool = False
    priority: int = MEDIUM
    """Of the request, for peers that know one (PS3.7 annex E)."""


def decide(given: CommandLine, default_model: str, *, parameters: int = 2, writes: bool = False) -> QueryOptions:
    """What `given` decides; its query files follow the first `parameters`. Raises Misconfigured.

    A face that `writes` has options for files that a compression level may be for.
    """
    preset = transfer_syntax_options.proposed(given)
    level = given.unsigned("--compression-level", 0, 9)
    given.require("--compression-level", "--propose-deflated", writes or level is None or preset == "deflated")
    keys = given.each("--key")
    files = tuple(map(Path, given.parameters[parameters:]))
    if not keys and not files:
        raise Misconfigured("either query file or override keys (or both) must be specified")
    return QueryOptions(
        model=given.last(*_MODELS) or default_model,
        keys=keys,
        files=files,
        transfer_syntaxes=transfer_syntax_presets.PROPOSE[preset],
        compression_level=DEFAULT_COMPRESSION_LEVEL if level is None else level,
        old_vrs_only=given.last("--enable-new-vr", "--disable-new-vr") == "--disable-new-vr",
        priority=_PRIORITIES[given.choice("--priority", tuple(_PRIORITIES)) or "medium"],
    )


SOP_CLASSES: Mapping[str, Mapping[str, str]] = {
    "--worklist": {"find": "1.2.840.10008.5.1.4.31"},
    "--patient": {
        "find": "1.2.840.10008.5.1.4.1.2.1.1",
        "move": "1.2.840.10008.5.1.4.1.2.1.2",
        "get": "1.2.840.10008.5.1.4.1.2.1.3",
    },
    "--study": {
        "find": "1.2.840.10008.5.1.4.1.2.2.1",
        "move": "1.2.840.10008.5.1.4.1.2.2.2",
        "get": "1.2.840.10008.5.1.4.1.2.2.3",
    },
    "--psonly": {
        "find": "1.2.840.10008.5.1.4.1.2.3.1",
        "move": "1.2.840.10008.5.1.4.1.2.3.2",
        "get": "1.2.840.10008.5.1.4.1.2.3.3",
    },
}
"""SOP Classes by model and operation (PS3.4 C.6, K.6.1); those of `query.model`, which takes longer to import."""
