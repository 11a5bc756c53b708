"""The options of DCMTK's dcmqrscp, as a table.

They are those of dcmqrscp 3.6.7, `-vv` of 3.5.4, those for TLS of 3.6.9 and later, and `-i4`, `-i6`, `-i0` of 3.7.
"""

from archive import __version__
from archive.cli.dcmtk import tls_options
from archive.cli.dcmtk.general_options import general_options
from archive.cli.dcmtk.options import Group, Option, Parameter, Program
from archive.cli.dcmtk.output_options import GROUPS as OUTPUT_GROUPS
from archive.cli.dcmtk.transfer_syntax_options import PREFER_OPTIONS, PROPOSE_OPTIONS

DEFAULT_CONFIG = "/etc/dcmtk/dcmqrscp.cfg"
MIN_PDU_BYTES, MAX_PDU_BYTES = 4096, 131_072

_MULTI_PROCESS = Group(
    "multi-process options:",
    (
        Option("--single-process", "-s", "single process mode"),
        Option("--fork", "", "fork child process for each assoc. (default)"),
    ),
    columns=(6, 22),
)
_DATABASE = (
    Group("database options:"),
    Group(
        "association negotiation:",
        (
            Option(
                "--require-find",
                "",
                "reject all MOVE/GET presentation contexts for\nwhich no correspond. FIND context is proposed",
            ),
            Option(
                "--no-parallel-store",
                "",
                "reject multiple simultaneous STORE presentat.\ncontexts for one application entity title",
            ),
            Option("--disable-get", "", "disable C-GET support"),
            Option("--allow-shutdown", "", "allow external shutdown via private SOP class"),
        ),
        is_part=True,
    ),
    Group(
        "checking identifier validity:",
        (
            Option("--check-find", "-XF", "check C-FIND identifier validity"),
            Option("--no-check-find", "", "do not check C-FIND identifier validity (def.)"),
            Option("--check-move", "-XM", "check C-MOVE identifier validity"),
            Option("--no-check-move", "", "do not check C-MOVE identifier validity (def.)"),
        ),
        is_part=True,
    ),
    Group(
        "restriction of move targets:",
        (
            Option("--move-unrestricted", "", "do not restrict move destination (default)"),
            Option("--move-aetitle", "-ZA", "restrict move dest. to requesting AE title"),
            Option("--move-host", "-ZH", "restrict move destination to requesting host"),
            Option("--move-vendor", "-ZV", "restrict move destination to requesting vendor"),
        ),
        is_part=True,
    ),
    Group(
        "restriction of query/retrieve models:",
        (
            Option("--no-patient-root", "-QP", "do not support Patient Root Q/R models"),
            Option("--no-study-root", "-QS", "do not support Study Root Q/R models"),
            Option("--no-patient-study", "-QO", "do not support Patient/Study Only Q/R models"),
        ),
        is_part=True,
    ),
)
_NETWORK = (
    Group("network options:"),
    Group(
        "IP protocol version:",
        (
            Option("--ipv4", "-i4", "use IPv4 only (default)"),
            Option("--ipv6", "-i6", "use IPv6 only"),
            Option("--ip-auto", "-i0", "use IPv6/IPv4 dual stack"),
        ),
        is_part=True,
    ),
    Group(
        "association negotiation profiles from configuration file:",
        (
            Option(
                "--assoc-config-file",
                "-xf",
                "use profile i from f for incoming associations\nuse profile o from f for outgoing associations",
                values=3,
                value_help="[f]ilename, [i]n-profile, [o]ut-profile: string",
            ),
        ),
        is_part=True,
    ),
    Group("preferred network transfer syntaxes (incoming associations):", PREFER_OPTIONS, is_part=True),
    Group("proposed transmission transfer syntaxes (outgoing associations):", PROPOSE_OPTIONS, is_part=True),
    Group(
        "network host access control (tcp wrapper):",
        (
            Option("--access-full", "-ac", "accept connections from any host (default)"),
            Option("--access-control", "+ac", "enforce host access control rules"),
        ),
        is_part=True,
    ),
    Group(
        "other network options:",
        (
            Option(
                "--timeout",
                "-to",
                "timeout for connection requests",
                values=1,
                value_help="[s]econds: integer (default: unlimited)",
            ),
            Option(
                "--acse-timeout",
                "-ta",
                "timeout for ACSE messages",
                values=1,
                value_help="[s]econds: integer (default: 30)",
            ),
            Option(
                "--dimse-timeout",
                "-td",
                "timeout for DIMSE messages",
                values=1,
                value_help="[s]econds: integer (default: unlimited)",
            ),
            Option(
                "--max-pdu",
                "-pdu",
                "set max receive pdu to n bytes\n(default: use value from configuration file)",
                values=1,
                value_help=f"[n]umber of bytes: integer ({MIN_PDU_BYTES}..{MAX_PDU_BYTES})",
            ),
            Option("--disable-host-lookup", "-dhl", "disable hostname lookup"),
            Option("--refuse", "", "refuse association"),
            Option("--reject", "", "reject association if no implement. class UID"),
            Option("--ignore", "", "ignore store data, receive but do not store"),
            Option("--uid-padding", "-up", "silently correct space-padded UIDs"),
        ),
        is_part=True,
    ),
)
_PROCESSING = (
    Group("processing options:"),
    Group(
        "specific character set:",
        (
            Option(
                "--use-request-charset",
                "+Cr",
                "try to convert all element values that are\n"
                "affected by Specific Character Set (0008,0005)\n"
                "to the one specified in the request data set,\n"
                "fall back to the one specified via\n"
                "--convert-to-xxx if that is not possible\n"
                "(default, unless overridden by config file)",
            ),
            Option(
                "--override-charset",
                "-Cr",
                "convert affected element values to the\n"
                "character set specified via --convert-to-xxx,\n"
                "ignoring the one specified in the request",
            ),
            Option(
                "--convert-to-ascii",
                "+A7",
                "convert affected element values to 7-bit ASCII\n(default, unless overridden by config file)",
            ),
            Option("--convert-to-utf8", "+U8", "convert affected element values to UTF-8"),
            Option("--convert-to-latin1", "+L1", "convert affected element values to ISO 8859-1"),
            Option(
                "--convert-to-charset",
                "+C",
                "convert affected element values to the char.\nset specified by the DICOM defined term c",
                values=1,
                value_help="[c]harset: string",
            ),
            Option(
                "--transliterate",
                "-Ct",
                "try to approximate characters that cannot be\nrepresented through similar looking characters",
            ),
            Option(
                "--discard-illegal",
                "-Cd",
                "discard characters that cannot be represented\nin destination character set",
            ),
        ),
        is_part=True,
    ),
)
PROGRAM = Program(
    "dcmqrscp",
    "DICOM image archive (central test node)",
    __version__,
    (
        Parameter(
            "port", "tcp/ip port number to listen on\n(default: in config file)", is_optional=True, low=1, high=65535
        ),
    ),
    (
        general_options(
            Option("--very-verbose", "-vv", "print more processing details"),
            Option(
                "--config",
                "-c",
                f"use specific configuration file\n(default: {DEFAULT_CONFIG})",
                values=1,
                value_help="[f]ilename: string",
            ),
        ),
        _MULTI_PROCESS,
        *_DATABASE,
        *_NETWORK,
        *_PROCESSING,
        *tls_options.groups("both"),
        *OUTPUT_GROUPS,
    ),
)
