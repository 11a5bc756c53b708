"""hosts.allow and hosts.deny, made into network rules that decide alike."""

import pytest

from archive.registry import hosts_access


def lines(text: str, daemon: str = "dcmqrscp", *, accepts: bool = True) -> list[tuple[int, bool, str]]:
    found, problems = hosts_access.parse(text, daemon, accepts=accepts)
    assert problems == []
    return [(line.number, line.accepts, str(line.clients)) for line in found]


def problems(text: str) -> list[tuple[int, str]]:
    _, found = hosts_access.parse(text, "dcmqrscp", accepts=True)
    return [(problem.number, problem.reason) for problem in found]


def test_lines_that_speak_of_the_daemon_become_rules_in_their_order() -> None:
    text = "# a comment\n\ndcmqrscp: 10.1. 192.0.2.7\nsshd: ALL\nALL EXCEPT sshd: .hospital.example, LOCAL\n"

    assert lines(text) == [(3, True, "10.1.0.0/16 192.0.2.7"), (5, True, ".hospital.example LOCAL")]


def test_lines_of_hosts_deny_close() -> None:
    assert lines("ALL: ALL", accepts=False) == [(1, False, "ALL")]


@pytest.mark.parametrize(
    "daemons,speaks",
    [
        ("dcmqrscp", True),
        ("DCMQRSCP", True),
        ("sshd, dcmqrscp", True),
        ("ALL", True),
        ("sshd", False),
        ("ALL EXCEPT sshd", True),
        ("ALL EXCEPT dcmqrscp", False),
        ("ALL EXCEPT ALL EXCEPT dcmqrscp", True),
        ("ALL EXCEPT ALL EXCEPT sshd", False),
    ],
)
def test_a_line_speaks_of_a_daemon(daemons: str, speaks: bool) -> None:
    assert bool(lines(f"{daemons}: ALL")) is speaks


def test_a_line_ends_where_no_backslash_is_before_its_end() -> None:
    assert lines("dcmqrscp: 10.1. \\\n  10.2.\nALL: 192.0.2.1") == [
        (1, True, "10.1.0.0/16 10.2.0.0/16"),
        (3, True, "192.0.2.1"),
    ]


def test_an_address_in_brackets_keeps_its_colons() -> None:
    assert lines("dcmqrscp: [2001:db8::]/32 [::1]") == [(1, True, "2001:db8::/32 ::1")]


def test_the_options_allow_and_deny_decide_instead_of_the_file() -> None:
    assert lines("ALL: .evil.example: deny\nALL: ALL: ALLOW", accepts=True) == [
        (1, False, ".evil.example"),
        (2, True, "ALL"),
    ]
    assert lines("ALL: 10.1.2.3: allow", accepts=False) == [(1, True, "10.1.2.3")]


@pytest.mark.parametrize(
    "line,reason",
    [
        ("ALL: ALL: spawn (mail root) &", "take ': spawn (mail root) &' out of the line"),
        ("ALL: ALL: severity auth.info: deny", "take ': severity auth.info' out"),
        ("ALL: ALL: /usr/bin/safe_finger -l @%h", "take ': /usr/bin/safe_finger -l @%h' out"),
        ("dcmqrscp: @scanners", "Netgroups, files of patterns and user names are no clients here: @scanners"),
        ("dcmqrscp: root@10.1.2.3", "user names are no clients here: root@10.1.2.3"),
        ("dcmqrscp: /etc/allowed", "Netgroups, files of patterns"),
        ("dcmqrscp@10.0.0.1: ALL", "name the daemon alone"),
        ("dcmqrscp", "A line has daemons and clients"),
        ("dcmqrscp: 10.1.2.3/255.255.0.0", "write 10.1.0.0/16: 10.1.2.3/255.255.0.0"),
    ],
)
def test_what_cannot_be_a_rule_is_refused_with_its_line(line: str, reason: str) -> None:
    [(number, said)] = problems(f"# first\n{line}\n")

    assert number == 2
    assert reason in said


def test_lines_about_other_daemons_may_be_what_they_like() -> None:
    assert lines("sshd@10.0.0.1: ALL\nin.telnetd: @group: spawn /bin/true\n") == []
