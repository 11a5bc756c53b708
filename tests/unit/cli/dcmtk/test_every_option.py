"""Every option of DCMTK's tools is there in its spelling, and none is taken and forgotten."""

import pytest

from tests.unit.cli.dcmtk.tools import MOVESCU, TOOLS, Names, Tool

_WITH_TLS = "+tls KEY CERTIFICATE -ic "
# What an option is given, if it takes values.
VALUES = {
    "--log-level": "debug", "--log-config": "/etc/dcmtk/logger.cfg", "--max-associations": "2",
    "--config-file": "file profile", "--aetitle": "MYSELF", "--call": "YOU", "--move": "THEM", "--key": "PatientID=1",
    "--port": "11113", "--socket-timeout": "5", "--acse-timeout": "6", "--dimse-timeout": "7", "--timeout": "8",
    "--max-pdu": "4096", "--max-send-pdu": "4096", "--repeat": "2", "--cancel": "3", "--parallel": "4",
    "--priority": "high",
    "--sleep-after": "1", "--sleep-during": "2", "--user": "ada", "--password": "sesame", "--kerberos": "file",
    "--saml": "file", "--jwt": "file", "--enable-tls": "a b -ic", "--anonymous-tls": "-ic", "--use-passwd": "sesame",
    "--add-cert-file": "file", "--add-cert-dir": "folder", "--add-crl-file": "list", "--cipher": "NAME",
    "--dhparam": "file", "--expect-sni": "name", "--request-sni": "name", "--seed": "file", "--write-seed-file": "file",
    "--output-directory": "folder", "--padding-create": "2 4", "--compression-level": "9", "--sort-conc-studies": "p",
    "--sort-on-study-uid": "p", "--filename-extension": ".dcm", "--exec-on-reception": "c", "--exec-on-eostudy": "c",
    "--eostudy-timeout": "5", "--study-order": "global", "--scan-pattern": "*.dcm", "--invent-series": "2",
    "--invent-study": "2", "--invent-patient": "2", "--propose-ts": "2", "--propose-pc": "2",
    "--extract-xml-single": "file", "--limit-output": "2",
}  # fmt: skip
# What stands before an option that undoes it, or only says something beside it.
BESIDE = {
    "--single-process": "--fork", "--fork": "--single-process", "--max-associations": "--fork", "--ipv4": "-i6",
    "--ip-auto": "-i6", "--prefer-uncompr": "+xs", "--prefer-little": "+xs", "--propose-uncompr": "-xi",
    "--propose-little": "-xb", "--access-full": "+ac", "--use-called-aetitle": "-aet X", "--verbose-pc": "-v",
    "--patient": "-S", "--worklist": "-S", "--pending-ignore": "-pr", "--password": "-usr u",
    "--empty-password": "-usr u", "--pos-response": "-usr u",
    "--std-passwd": _WITH_TLS + "+pw x", "--pem-keys": _WITH_TLS + "-der", "--profile-8996": _WITH_TLS + "+pz",
    "--write-seed": _WITH_TLS + "+rs f", "--write-seed-file": _WITH_TLS + "+rs f",
    "--require-peer-cert": _WITH_TLS + "+cf x", "--verify-peer-cert": "+tls KEY CERTIFICATE +cf x",
    "--ignore-peer-cert": "+tls KEY CERTIFICATE +cf x", "--enable-crl-vfy": _WITH_TLS + "+crl x",
    "--enable-crl-all": _WITH_TLS + "+crl x", "--write-file": "-F", "--write-xfer-same": "+te", "--enable-new-vr": "-u",
    "--group-length-recalc": "+g", "--length-explicit": "-e", "--padding-off": "+p 2 2", "--retain-un": "+uc",
    "--default-filenames": "+uf", "--exec-on-eostudy": "-sp", "--rename-on-eostudy": "-sp", "--eostudy-timeout": "-sp",
    "--no-subdir": "+ssd", "--read-file": "-f", "--scan-pattern": "+sd", "--no-recurse": "+sd +r", "--recurse": "+sd",
    "--no-rename": "+rn", "--disable-correction": "+dc", "--limit-output": "-X", "--enable-correction": "-dc",
} | dict.fromkeys((
    "--use-passwd", "--null-passwd", "--der-keys", "--add-cert-file", "--add-cert-dir", "--add-crl-file", "--cipher",
    "--seed", "--dhparam", "--expect-sni", "--request-sni", "--no-sni", "--profile-8996-mod", "--profile-bcp195-nd",
    "--profile-bcp195", "--profile-bcp195-ex", "--profile-basic", "--profile-aes", "--profile-null",
), _WITH_TLS)  # fmt: skip
ANSWERED = {"--help", "--version", "--arguments", "--list-profiles", "--list-ciphers"}  # held in test_face.py
# Options that nothing can be decided by, and what is said of them; nothing of what is so already.
REFUSED = {f"--profile-{name}": "is not supported: it allows TLS 1.0" for name in ("basic", "aes", "null")}
ALREADY_SO = {"--no-sni", "--disable-tls"}

CASES = [(tool, names) for tool in TOOLS for names in tool.spelt if names[-1] not in ANSWERED]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_the_options_are_those_of_the_tool_in_its_spelling(tool: Tool) -> None:
    ours = [
        tuple(name for name in (option.short, option.long) if name)
        for group in tool.options.PROGRAM.groups
        for option in group.options
    ]

    assert sorted(ours) == sorted(tool.spelt)


@pytest.mark.parametrize("tool, names", CASES, ids=lambda value: value.name if isinstance(value, Tool) else value[-1])
def test_every_option_decides_something(tool: Tool, names: Names) -> None:
    long = names[-1]
    beside = tool.beside.get(long, _undone_by(tool, long))
    without = tool.decided(beside)
    by_name = [tool.decided(f"{beside} {name} {VALUES.get(long, '')}") for name in names]

    assert by_name[0] == by_name[-1]
    assert not isinstance(without, str)  # a complaint
    if long in REFUSED:
        assert REFUSED[long] in by_name[0]
        return
    assert not isinstance(by_name[0], str)
    assert (by_name[0] == without) is (long in ALREADY_SO)


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_tls_that_is_undone_needs_nothing(tool: Tool) -> None:
    assert tool.decided("+tls KEY CERTIFICATE -tls") == tool.decided("")


def _undone_by(tool: Tool, long: str) -> str:
    """What is usual, and for what comes to movescu that it listens."""
    return ("+P 11112 " if tool is MOVESCU else "") + BESIDE.get(long, "")
