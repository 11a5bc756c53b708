"""Titles that let in only who proves to be a user, by DCMTK's and pynetdicom's User Identity negotiation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pynetdicom.ae import ApplicationEntity
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from archive.registry import changes, passwords
from tests.fix_dcmtk import Dcmtk, Ran
from tests.fix_instances import instance
from tests.fix_pynetdicom import steady
from tests.wire.raw_messages import VERIFICATION
from tests.wire.running import Archive

HASH = passwords.hashed(b"sesame")


@pytest.fixture
def guarded(archive: Archive) -> Archive:
    """The archive with a title that requires a user: `ward` by a password, `door` by its name."""

    def work(connection: Any) -> None:
        changes.set_title(connection, archive.title.name, {"requires_user": True})
        for name, known in ((f"ward@{archive.title}", HASH), (f"door@{archive.title}", None)):
            changes.add_user(connection, name, known)

    archive.change(work)
    return archive


def store(dcmtk: Dcmtk, archive: Archive, file: Path, *identity: str) -> Ran:
    return dcmtk.run("storescu", "-v", *identity, "-aec", archive.title, "127.0.0.1", archive.port, file)


def refused_with(archive: Archive, ran: Ran, already: int, reason: str) -> None:
    """It was told no reason, and the log has one."""
    assert not ran.is_ok, ran
    assert "Result: Rejected Permanent, Source: Service User" in ran.output
    assert "Reason: No Reason" in ran.output
    assert archive.becomes_true(lambda: reason in archive.service.output()[already:]), reason


def test_only_users_are_let_in(guarded: Archive, dcmtk: Dcmtk, files_of: Callable[..., list[Path]]) -> None:
    [file] = files_of(instance())
    ward, door = f"ward@{guarded.title}", f"door@{guarded.title}"
    for identity, reason in (
        ((), "requires a user, and the peer names no user"),
        (("-usr", "nobody", "-pwd", "sesame"), "names a user that there is not: nobody"),
        (("-usr", ward, "-pwd", "guess"), f"gives a wrong password for user {ward}"),
        (("-usr", ward, "-epw"), f"gives a wrong password for user {ward}"),
        (("-usr", ward), f"gives no password for user {ward}"),
        (("--jwt", str(file)), "offers a JSON Web Token instead of a user name"),
    ):
        already = len(guarded.service.output())
        refused_with(guarded, store(dcmtk, guarded, file, *identity), already, reason)
    assert guarded.rows(guarded.title.area) == 0

    for identity in (
        ("-usr", ward, "-pwd", "sesame"),
        ("-usr", ward, "-pwd", "sesame", "-rsp"),
        ("-usr", door, "-rsp"),
    ):
        ran = store(dcmtk, guarded, file, *identity)
        assert ran.is_ok, ran
    assert guarded.rows(guarded.title.area) == 1


def test_a_user_who_was_disabled_is_out_with_the_next_association(
    guarded: Archive, dcmtk: Dcmtk, files_of: Callable[..., list[Path]]
) -> None:
    [file] = files_of(instance())
    ward = f"ward@{guarded.title}"
    identity = ("-usr", ward, "-pwd", "sesame")
    assert store(dcmtk, guarded, file, *identity).is_ok
    already = len(guarded.service.output())

    guarded.service.run("user", "set", ward, "--disable")

    refused_with(guarded, store(dcmtk, guarded, file, *identity), already, f"is user {ward}, who is disabled")


def test_a_title_that_requires_no_user_lets_everybody_in_and_confirms_a_right_one_who_asks(
    guarded: Archive, dcmtk: Dcmtk, files_of: Callable[..., list[Path]]
) -> None:
    [file] = files_of(instance())
    ward = f"ward@{guarded.title}"
    guarded.title = guarded.add_title()

    for identity in ((), ("-usr", "nobody", "-pwd", "x"), ("-usr", ward, "-pwd", "sesame", "-rsp")):
        ran = store(dcmtk, guarded, file, *identity)
        assert ran.is_ok, ran


@pytest.mark.parametrize("asks", [True, False])
def test_pynetdicom_hears_a_positive_response_if_it_asked_for_one(guarded: Archive, asks: bool) -> None:
    identity = UserIdentityNegotiation()
    identity.user_identity_type = 2
    identity.primary_field = f"ward@{guarded.title}".encode()
    identity.secondary_field = b"sesame"
    identity.positive_response_requested = asks
    entity = ApplicationEntity("PYNETDICOM")
    entity.add_requested_context(VERIFICATION)

    association = entity.associate("127.0.0.1", guarded.port, ae_title=guarded.title.name, ext_neg=[identity])
    assert association.is_established
    answered = association.acceptor.user_identity
    status = steady(association).send_c_echo().Status
    association.release()

    assert status == 0
    assert (answered is not None) == asks
    assert answered is None or answered.server_response == b""


def test_who_proved_itself_is_named_in_the_log(
    guarded: Archive, dcmtk: Dcmtk, files_of: Callable[..., list[Path]]
) -> None:
    already = len(guarded.service.output())
    [file] = files_of(instance())

    store(dcmtk, guarded, file, "-usr", f"ward@{guarded.title}", "-pwd", "sesame")

    log = guarded.service.output()[already:]
    assert f"user=ward@{guarded.title}" in log
    assert "sesame" not in log
