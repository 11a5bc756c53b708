"""dcmqrscp_service.py: who the service becomes after its port is bound."""

import grp
import os
import pwd

import pytest

from archive.cli.dcmtk.dcmqrscp_service import _become
from archive.errors import Misconfigured

Calls = list[tuple[str, tuple[object, ...]]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What the system is asked for, of a process that root has started."""
    made: Calls = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for name in ("initgroups", "setgid", "setuid"):
        monkeypatch.setattr(os, name, lambda *given, name=name: made.append((name, given)))
    return made


def test_groups_are_given_up_before_the_user(calls: Calls) -> None:
    user, group = pwd.getpwnam("nobody"), grp.getgrnam("daemon")

    _become("nobody", "daemon")

    assert calls == [
        ("initgroups", ("nobody", group.gr_gid)),
        ("setgid", (group.gr_gid,)),
        ("setuid", (user.pw_uid,)),
    ]


def test_a_user_alone_has_the_group_of_that_user(calls: Calls) -> None:
    user = pwd.getpwnam("nobody")

    _become("nobody", "")

    assert calls == [
        ("initgroups", ("nobody", user.pw_gid)),
        ("setgid", (user.pw_gid,)),
        ("setuid", (user.pw_uid,)),
    ]


def test_a_group_alone_changes_no_user(calls: Calls) -> None:
    _become("", "daemon")

    assert calls == [("setgid", (grp.getgrnam("daemon").gr_gid,))]


def test_nothing_is_given_up_where_nobody_is_named_or_who_started_it_is_not_root(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    _become("", "")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    _become("nobody", "daemon")

    assert calls == []


@pytest.mark.parametrize("user, group", [("no such user", ""), ("", "no such group")])
def test_names_that_the_machine_does_not_know_are_a_mistake(calls: Calls, user: str, group: str) -> None:
    with pytest.raises(Misconfigured, match="UserName and GroupName must be known to this machine"):
        _become(user, group)

    assert calls == []
