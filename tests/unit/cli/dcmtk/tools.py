"""Every tool of DCMTK's that is a face of ours: its options as its pages spell them, and what a command line decides.

Written down apart from our tables: the options of DCMTK 3.7.0, and behind the bar those of its other tools and ours.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from archive.cli.dcmtk import (
    dcmrecv_options,
    echoscu_options,
    findscu_options,
    getscu_options,
    movescu_options,
    storescp_options,
    storescu_options,
)
from archive.cli.dcmtk.general_options import log
from archive.errors import Misconfigured

Names = tuple[str, ...]


def spelt(text: str) -> Sequence[Names]:
    """The names of each option, the short one first."""
    return [tuple(words.split()) for words in text.replace("\n", " ").replace("|", ",").split(",") if words.strip()]


@dataclass(frozen=True)
class Tool:
    """A program, and what stands in its command line beside options."""

    options: ModuleType
    spelt: Sequence[Names]
    before: str = ""
    behind: str = ""
    beside: Mapping[str, str] = field(default_factory=dict)
    """What stands before an option here, where it is another than usual."""

    @property
    def name(self) -> str:
        return self.options.PROGRAM.name

    def decided(self, words: str) -> Any:
        """All that a command line decides; the complaint where it is refused."""
        decide = self.options.decide
        more = {"is_verbose": True} if "is_verbose" in inspect.signature(decide).parameters else {}
        try:
            given = self.options.PROGRAM.parse(f"{self.before} {words} {self.behind}".split())
            return decide(given, **more), log(given, self.name)
        except Misconfigured as error:
            return str(error)


_GENERAL = "-h --help, --version, --arguments, -q --quiet, -v --verbose, -d --debug, -ll --log-level, -lc --log-config"
_IP = "-i4 --ipv4, -i6 --ipv6, -i0 --ip-auto"
_TITLES = "-aet --aetitle, -aec --call"
_TIMES = "-ta --acse-timeout, -td --dimse-timeout, -pdu --max-pdu"
_CALLING = f"{_IP}, {_TITLES}, -to --timeout, -ts --socket-timeout, {_TIMES}, --repeat, --abort"
_IDENTITY = "-usr --user, -pwd --password, -epw --empty-password, -kt --kerberos, --saml, --jwt, -rsp --pos-response"
_TLS = """
-tls --disable-tls, +tls --enable-tls, +ps --std-passwd, +pw --use-passwd, -pw --null-passwd, -pem --pem-keys,
-der --der-keys, +cf --add-cert-file, +cd --add-cert-dir, +crl --add-crl-file, +crv --enable-crl-vfy,
+cra --enable-crl-all, +ph --list-profiles, +pg --profile-8996, +pm --profile-8996-mod, +py --profile-bcp195-nd,
+px --profile-bcp195, +pz --profile-bcp195-ex, +pb --profile-basic, +pa --profile-aes, +pn --profile-null,
+cc --list-ciphers, +cs --cipher, --no-sni, +rs --seed, +ws --write-seed, +wf --write-seed-file,
-rc --require-peer-cert, -ic --ignore-peer-cert
"""
_TLS_OF_ACCEPTOR = f"{_TLS}, +dp --dhparam, --expect-sni, -vc --verify-peer-cert"
_TLS_OF_REQUESTOR = f"{_TLS}, +tla --anonymous-tls, --request-sni"
_ACCEPTED = """
+x= --prefer-uncompr, +xe --prefer-little, +xb --prefer-big, +xs --prefer-lossless, +xy --prefer-jpeg8,
+xx --prefer-jpeg12, +xv --prefer-j2k-lossless, +xw --prefer-j2k-lossy, +xt --prefer-jls-lossless,
+xu --prefer-jls-lossy, +xm --prefer-mpeg2, +xh --prefer-mpeg2-high, +xn --prefer-mpeg4, +xl --prefer-mpeg4-bd,
+x2 --prefer-mpeg4-2-2d, +x3 --prefer-mpeg4-2-3d, +xo --prefer-mpeg4-2-st, +x4 --prefer-hevc, +x5 --prefer-hevc10,
+xr --prefer-rle, +xd --prefer-deflated, +xi --implicit
"""
_PROPOSED = """
-x= --propose-uncompr, -xe --propose-little, -xb --propose-big, -xd --propose-deflated, -xi --propose-implicit
"""
_WRITTEN = """
-od --output-directory, -B --normal, +B --bit-preserving, +F --write-file, -F --write-dataset, +t= --write-xfer-same,
+te --write-xfer-little, +tb --write-xfer-big, +ti --write-xfer-implicit, +td --write-xfer-deflated,
+u --enable-new-vr, -u --disable-new-vr, +g= --group-length-recalc, +g --group-length-create,
-g --group-length-remove, +e --length-explicit, -e --length-undefined, -p --padding-off, +p --padding-create,
+cl --compression-level, -uc --retain-un, +uc --convert-un
"""
_QUERY = f"-k --key, -P --patient, -S --study, -O --psonly, {_PROPOSED}"
_HOSTS = "-ac --access-full, +ac --access-control"

_STORESCP = f"""
{_GENERAL}, +v --verbose-pc, --single-process, --fork, --max-associations, {_IP}, -xf --config-file, {_ACCEPTED},
+xa --accept-all, {_HOSTS}, -id --inetd, -ts --socket-timeout, {_TIMES}, -aet --aetitle, -dhl --disable-host-lookup,
--refuse, --reject, --ignore, --sleep-after, --sleep-during, --abort-after, --abort-during, -pm --promiscuous,
-up --uid-padding, {_TLS_OF_ACCEPTOR}, {_WRITTEN}, -ss --sort-conc-studies, -su --sort-on-study-uid,
-sp --sort-on-patientname, -uf --default-filenames, +uf --unique-filenames, -tn --timenames, -fe --filename-extension,
-xcr --exec-on-reception, -xcs --exec-on-eostudy, -rns --rename-on-eostudy, -tos --eostudy-timeout, -xs --exec-sync
| --exec-shell, --study-order
"""
_DCMRECV = f"""
{_GENERAL}, +v --verbose-pc, {_IP}, -xf --config-file, -uca --use-called-aetitle, -aet --aetitle, {_TIMES},
-dhl --disable-host-lookup, {_TLS_OF_ACCEPTOR}, -od --output-directory, -s --no-subdir, +ssd --series-date-subdir,
+fd --default-filenames, +fu --unique-filenames, +fsu --short-unique-names, +fst --system-time-names,
-fe --filename-extension, -B --normal, +B --bit-preserving, --ignore
| --single-process
"""
_MOVESCU = f"""
{_GENERAL}, {_CALLING}, -aem --move, {_QUERY}, {_ACCEPTED}, +xa --accept-all, {_HOSTS}, --no-port, +P --port,
-pi --pending-ignore, -pr --pending-read, -dhl --disable-host-lookup, --ignore, --cancel, -up --uid-padding,
{_TLS_OF_ACCEPTOR}, --request-sni, {_WRITTEN}
| {_IDENTITY}, --priority
"""
_GETSCU = f"""
{_GENERAL}, +v --verbose-pc, {_CALLING}, {_QUERY}, {_ACCEPTED}, {_TLS_OF_REQUESTOR}, -od --output-directory,
-B --normal, +B --bit-preserving, --ignore
| {_IDENTITY}, --priority
"""
_ECHOSCU = f"{_GENERAL}, {_CALLING}, -pts --propose-ts, -ppc --propose-pc, {_TLS_OF_REQUESTOR} | {_IDENTITY}"
_FINDSCU = f"""
{_GENERAL}, {_CALLING}, {_TLS_OF_REQUESTOR}, {_QUERY}, -W --worklist, +u --enable-new-vr, -u --disable-new-vr,
+cl --compression-level, --cancel, -od --output-directory, +dc --enable-correction, -dc --disable-correction,
+sr --show-responses, -sr --hide-responses, -X --extract, -Xx --extract-xml, -Xs --extract-xml-single,
-Xlo --limit-output
| {_IDENTITY}, --json, --xml, --priority
"""
_STORESCU = f"""
{_GENERAL}, +v --verbose-pc, {_CALLING}, +f --read-file, +fo --read-file-only, -f --read-dataset,
+sd --scan-directories, +sp --scan-pattern, -r --no-recurse, +r --recurse, -rn --no-rename, +rn --rename,
-xf --config-file, {_PROPOSED}, -xs --propose-lossless, -xy --propose-jpeg8, -xx --propose-jpeg12,
-xv --propose-j2k-lossless, -xw --propose-j2k-lossy, -xt --propose-jls-lossless, -xu --propose-jls-lossy,
-xm --propose-mpeg2, -xh --propose-mpeg2-high, -xn --propose-mpeg4, -xl --propose-mpeg4-bd, -x2 --propose-mpeg4-2-2d,
-x3 --propose-mpeg4-2-3d, -xo --propose-mpeg4-2-st, -x4 --propose-hevc, -x5 --propose-hevc10, -xr --propose-rle,
-R --required, +C --combine, +u --enable-new-vr, -u --disable-new-vr, +cl --compression-level, {_IDENTITY},
--max-send-pdu, -nh --no-halt, -up --uid-padding, +II --invent-instance, +IR --invent-series, +IS --invent-study,
+IP --invent-patient, {_TLS_OF_REQUESTOR}
| --parallel
"""

STORESCP = Tool(storescp_options, spelt(_STORESCP))
DCMRECV = Tool(
    dcmrecv_options, spelt(_DCMRECV), beside={"--single-process": "", "--default-filenames": "+fu", "--normal": ""}
)
# What comes to us is an operation of movescu only where it listens.
MOVESCU = Tool(
    movescu_options,
    spelt(_MOVESCU),
    before="-k PatientName",
    behind="localhost 104",
    beside={"--port": "", "--no-port": "+P 104"},
)
GETSCU = Tool(getscu_options, spelt(_GETSCU), before="-k PatientName", behind="localhost 104")
ECHOSCU = Tool(echoscu_options, spelt(_ECHOSCU), behind="localhost 104")
FINDSCU = Tool(
    findscu_options,
    spelt(_FINDSCU),
    before="-k PatientName",
    behind="localhost 104",
    beside={"--compression-level": "-xd", "--output-directory": "-X"},
)
STORESCU = Tool(
    storescu_options, spelt(_STORESCU), behind="localhost 104 file.dcm", beside={"--compression-level": "-xd"}
)
TOOLS = (STORESCP, DCMRECV, MOVESCU, GETSCU, ECHOSCU, FINDSCU, STORESCU)
