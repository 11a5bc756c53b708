"""Options that choose transfer syntaxes, by names of presets: what a face prefers (`+x`), what it proposes (`-x`)."""

from archive.cli.dcmtk.options import CommandLine, Option

_UNCOMPRESSED = "and all uncompressed transfer syntaxes"

# Option, its short name, the preset it chooses, help. The order is that of DCMTK's help.
_PREFER = (
    ("--prefer-uncompr", "+x=", "uncompressed", "prefer explicit VR local byte order (default)"),
    ("--prefer-little", "+xe", "little-endian", "prefer explicit VR little endian TS"),
    ("--prefer-big", "+xb", "big-endian", "prefer explicit VR big endian TS"),
    ("--prefer-lossless", "+xs", "jpeg-lossless", "prefer default JPEG lossless TS"),
    ("--prefer-jpeg8", "+xy", "jpeg-8bit", "prefer default JPEG lossy TS for 8 bit data"),
    ("--prefer-jpeg12", "+xx", "jpeg-12bit", "prefer default JPEG lossy TS for 12 bit data"),
    ("--prefer-j2k-lossless", "+xv", "j2k-lossless", "prefer JPEG 2000 lossless TS"),
    ("--prefer-j2k-lossy", "+xw", "j2k-lossy", "prefer JPEG 2000 lossy TS"),
    ("--prefer-jls-lossless", "+xt", "jls-lossless", "prefer JPEG-LS lossless TS"),
    ("--prefer-jls-lossy", "+xu", "jls-lossy", "prefer JPEG-LS lossy TS"),
    ("--prefer-mpeg2", "+xm", "mpeg2", "prefer MPEG2 Main Profile @ Main Level TS"),
    ("--prefer-mpeg2-high", "+xh", "mpeg2-high", "prefer MPEG2 Main Profile @ High Level TS"),
    ("--prefer-mpeg4", "+xn", "mpeg4", "prefer MPEG4 AVC/H.264 HP / Level 4.1 TS"),
    ("--prefer-mpeg4-bd", "+xl", "mpeg4-bd", "prefer MPEG4 AVC/H.264 BD-compatible TS"),
    ("--prefer-mpeg4-2-2d", "+x2", "mpeg4-2-2d", "prefer MPEG4 AVC/H.264 HP / Level 4.2 TS (2D)"),
    ("--prefer-mpeg4-2-3d", "+x3", "mpeg4-2-3d", "prefer MPEG4 AVC/H.264 HP / Level 4.2 TS (3D)"),
    ("--prefer-mpeg4-2-st", "+xo", "mpeg4-2-st", "prefer MPEG4 AVC/H.264 Stereo / Level 4.2 TS"),
    ("--prefer-hevc", "+x4", "hevc", "prefer HEVC/H.265 Main Profile / Level 5.1 TS"),
    ("--prefer-hevc10", "+x5", "hevc10", "prefer HEVC/H.265 Main 10 Profile / Level 5.1 TS"),
    ("--prefer-rle", "+xr", "rle", "prefer RLE lossless TS"),
    ("--prefer-deflated", "+xd", "deflated", "prefer deflated expl. VR little endian TS"),
    ("--implicit", "+xi", "implicit", "accept implicit VR little endian TS only"),
)
_PROPOSE = (
    (
        "--propose-uncompr",
        "-x=",
        "uncompressed",
        "propose all uncompressed TS, explicit VR\nwith local byte ordering first (default)",
    ),
    ("--propose-little", "-xe", "little-endian", "propose all uncompressed TS, explicit VR\nlittle endian first"),
    ("--propose-big", "-xb", "big-endian", "propose all uncompressed TS, explicit VR\nbig endian first"),
    ("--propose-implicit", "-xi", "implicit", "propose implicit VR little endian TS only"),
    ("--propose-lossless", "-xs", "jpeg-lossless", f"propose default JPEG lossless TS\n{_UNCOMPRESSED}"),
    ("--propose-jpeg8", "-xy", "jpeg-8bit", f"propose default JPEG lossy TS for 8 bit data\n{_UNCOMPRESSED}"),
    ("--propose-jpeg12", "-xx", "jpeg-12bit", f"propose default JPEG lossy TS for 12 bit data\n{_UNCOMPRESSED}"),
    ("--propose-j2k-lossless", "-xv", "j2k-lossless", f"propose JPEG 2000 lossless TS\n{_UNCOMPRESSED}"),
    ("--propose-j2k-lossy", "-xw", "j2k-lossy", f"propose JPEG 2000 lossy TS\n{_UNCOMPRESSED}"),
    ("--propose-jls-lossless", "-xt", "jls-lossless", f"propose JPEG-LS lossless TS\n{_UNCOMPRESSED}"),
    ("--propose-jls-lossy", "-xu", "jls-lossy", f"propose JPEG-LS lossy TS\n{_UNCOMPRESSED}"),
    ("--propose-mpeg2", "-xm", "mpeg2", "propose MPEG2 Main Profile @ Main Level TS"),
    ("--propose-mpeg2-high", "-xh", "mpeg2-high", "propose MPEG2 Main Profile @ High Level TS"),
    ("--propose-mpeg4", "-xn", "mpeg4", "propose MPEG4 AVC/H.264 HP / Level 4.1 TS"),
    ("--propose-mpeg4-bd", "-xl", "mpeg4-bd", "propose MPEG4 AVC/H.264 BD-compatible TS"),
    ("--propose-mpeg4-2-2d", "-x2", "mpeg4-2-2d", "propose MPEG4 AVC/H.264 HP / Level 4.2 TS (2D)"),
    ("--propose-mpeg4-2-3d", "-x3", "mpeg4-2-3d", "propose MPEG4 AVC/H.264 HP / Level 4.2 TS (3D)"),
    ("--propose-mpeg4-2-st", "-xo", "mpeg4-2-st", "propose MPEG4 AVC/H.264 Stereo / Level 4.2 TS"),
    ("--propose-hevc", "-x4", "hevc", "propose HEVC/H.265 Main Profile / Level 5.1 TS"),
    ("--propose-hevc10", "-x5", "hevc10", "propose HEVC/H.265 Main 10 Profile / Level 5.1 TS"),
    ("--propose-rle", "-xr", "rle", f"propose RLE lossless TS\n{_UNCOMPRESSED}"),
    ("--propose-deflated", "-xd", "deflated", f"propose deflated expl. VR little endian TS\n{_UNCOMPRESSED}"),
)

PREFER_OPTIONS = tuple(Option(long, short, text) for long, short, _, text in _PREFER)
PROPOSE_OPTIONS = tuple(Option(long, short, text) for long, short, _, text in _PROPOSE)
ACCEPT_ALL = Option("--accept-all", "+xa", "accept all supported transfer syntaxes")
_ACCEPTED = {long: preset for long, _, preset, _ in _PREFER} | {ACCEPT_ALL.long: "all"}
_PROPOSED = {long: preset for long, _, preset, _ in _PROPOSE}
# With these what arrives may be compressed, and cannot be written in another transfer syntax.
COMPRESSED_PREFERENCES = tuple(
    option
    for option, preset in _ACCEPTED.items()
    if preset not in ("uncompressed", "little-endian", "big-endian", "implicit", "deflated")
)
DEFAULT_PRESET = "uncompressed"


def accepted(given: CommandLine) -> str:
    """The preset that is accepted; a key of `transfer_syntax_presets.ACCEPT`."""
    return _ACCEPTED.get(given.last(*_ACCEPTED) or "", DEFAULT_PRESET)


def proposed(given: CommandLine) -> str:
    """The preset that is proposed; a key of `transfer_syntax_presets.PROPOSE`."""
    return _PROPOSED.get(given.last(*_PROPOSED) or "", DEFAULT_PRESET)


def refuse_with_presets(given: CommandLine, option: str) -> None:
    """Raise Misconfigured if `option` (association profiles) is given beside a preset that is not the default."""
    for options in (_ACCEPTED, _PROPOSED):
        chosen = given.last(*options)
        if chosen is not None:
            given.refuse_together(option, chosen, options[chosen] != DEFAULT_PRESET)
