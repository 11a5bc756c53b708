"""Who calls, by User Identity negotiation."""

import pytest

from archive.registry import passwords
from archive.registry.model import User
from archive.services import identification
from archive.services.identification import Verdict, identify
from archive.upper_layer.proposal import UserIdentity

HASH = passwords.hashed("päss".encode())
USERS = {
    user.name: user
    for user in (User("ward", HASH), User("gone", HASH, disabled=True), User("door", None), User("Zoë", HASH))
}


def named(name: str) -> UserIdentity:
    return UserIdentity(1, name.encode())


def proven(name: str, passcode: str) -> UserIdentity:
    return UserIdentity(2, name.encode(), passcode.encode())


@pytest.mark.parametrize(
    "offered, user",
    [
        (proven("ward", "päss"), "ward"),
        (proven("Zoë", "päss"), "Zoë"),
        (named("door"), "door"),
        (proven("door", ""), "door"),
    ],
)
def test_a_user_is_who_it_says(offered: UserIdentity, user: str) -> None:
    assert identify(USERS, offered) == Verdict(user)


@pytest.mark.parametrize(
    "offered, reason",
    [
        (None, "names no user"),
        (proven("ward", "guess"), "gives a wrong password for user ward"),
        (proven("ward", ""), "gives a wrong password for user ward"),
        (proven("door", "päss"), "gives a wrong password for user door"),
        (named("ward"), "gives no password for user ward"),
        (named("nobody"), "names a user that there is not: nobody"),
        (proven("nobody", "päss"), "names a user that there is not: nobody"),
        (proven("WARD", "päss"), "names a user that there is not: WARD"),
        (proven("gone", "päss"), "is user gone, who is disabled"),
        (UserIdentity(1, b"\xff" * 60_000), "names a user that there is not: " + "\ufffd" * 64 + "..."),
        (UserIdentity(3, b"ticket"), "offers a Kerberos ticket instead of a user name"),
        (UserIdentity(5, b"token"), "offers a JSON Web Token instead of a user name"),
        (UserIdentity(9, b"?"), "offers an identity of type 9 instead of a user name"),
    ],
)
def test_who_is_no_user_hears_nothing_and_the_log_says_why(offered: UserIdentity | None, reason: str) -> None:
    assert identify(USERS, offered) == Verdict(None, reason)


def test_no_more_passwords_than_allowed_are_verified_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identification, "WAIT_SECONDS", 0.01)
    for _ in range(identification.VERIFICATIONS_AT_A_TIME):
        assert identification._turn.acquire(timeout=1)

    try:
        busy = identify(USERS, proven("ward", "päss"))
    finally:
        for _ in range(identification.VERIFICATIONS_AT_A_TIME):
            identification._turn.release()

    assert (busy.user, busy.is_busy) == (None, True)
    assert identify(USERS, proven("ward", "päss")) == Verdict("ward")
