"""Whether a peer is the user that it says it is: User Identity negotiation (PS3.7 D.3.3.7), types 1 and 2."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from archive.registry import passwords
from archive.registry.model import User
from archive.upper_layer.proposal import UserIdentity

NAME, NAME_AND_PASSCODE = 1, 2
_KINDS = {3: "a Kerberos ticket", 4: "a SAML assertion", 5: "a JSON Web Token"}

# Each takes 16 MiB and a core for 50 ms; peers beyond them wait for their turn, but not for ever.
VERIFICATIONS_AT_A_TIME = 2
WAIT_SECONDS = 10.0
_turn = threading.BoundedSemaphore(VERIFICATIONS_AT_A_TIME)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The user, where the peer is one; else why not."""

    user: str | None
    reason: str = ""
    is_busy: bool = False
    """It could not be verified now, and may be in a moment."""


def identify(users: Mapping[str, User], offered: UserIdentity | None) -> Verdict:
    """Who calls; what takes time takes as long whether there is such a user or not."""
    if offered is None:
        return Verdict(None, "names no user")
    if offered.identity_type not in (NAME, NAME_AND_PASSCODE):
        kind = _KINDS.get(offered.identity_type, f"an identity of type {offered.identity_type}")
        return Verdict(None, f"offers {kind} instead of a user name")
    name = offered.primary_field.decode("utf-8", "replace")
    user = users.get(name)
    if offered.identity_type == NAME:
        return _by_name(name, user)
    if user is not None and user.password_hash is None and not offered.secondary_field:
        return _by_name(name, user)  # an empty passcode is as good as none
    if not _turn.acquire(timeout=WAIT_SECONDS):
        return Verdict(None, "could not be verified: too many passwords at a time", is_busy=True)
    try:
        is_right = passwords.fits(offered.secondary_field, None if user is None else user.password_hash)
    finally:
        _turn.release()
    if user is None:
        return Verdict(None, f"names a user that there is not: {_shown(name)}")
    if not is_right:
        return Verdict(None, f"gives a wrong password for user {name}")
    return _if_enabled(user)


def _by_name(name: str, user: User | None) -> Verdict:
    if user is None:
        return Verdict(None, f"names a user that there is not: {_shown(name)}")
    if user.password_hash is not None:
        return Verdict(None, f"gives no password for user {name}")
    return _if_enabled(user)


def _if_enabled(user: User) -> Verdict:
    return Verdict(None, f"is user {user.name}, who is disabled") if user.disabled else Verdict(user.name)


def _shown(name: str) -> str:
    """A name that a stranger chose, for the log."""
    return name if len(name) <= 64 else f"{name[:64]}..."
