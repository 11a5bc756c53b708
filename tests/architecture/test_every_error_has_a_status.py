"""Every refusal and failure becomes a status that its service may answer; what the peer did wrong becomes none."""

from collections.abc import Iterator

import pytest

from archive import errors
from archive.dimse import status
from archive.services import failures

TABLES = {"C-STORE": failures.STORE, "C-FIND": failures.FIND, "C-MOVE and C-GET": failures.RETRIEVE}

# PS3.7 annex C for any service; PS3.4 tables B.2-1, C.4-1, C.4-2 and C.4-3. A range is (first, last).
_GENERAL = {0x0105, 0x0106, 0x0110, 0x0111, 0x0112, 0x0115, 0x0117, 0x0118, 0x0119, 0x0120, 0x0121, 0x0122, 0x0124}
_RANGES = {
    "C-STORE": ((0xA700, 0xA7FF), (0xA900, 0xA9FF), (0xC000, 0xCFFF)),
    "C-FIND": ((0xA700, 0xA700), (0xA900, 0xA900), (0xC000, 0xCFFF)),
    "C-MOVE and C-GET": ((0xA701, 0xA702), (0xA801, 0xA801), (0xA900, 0xA900), (0xC000, 0xCFFF)),
}


def descendants(kind: type[errors.ArchiveError]) -> Iterator[type[errors.ArchiveError]]:
    """A class of errors and all below it."""
    yield kind
    for below in kind.__subclasses__():
        yield from descendants(below)


ANSWERED = [*descendants(errors.Refused), *descendants(errors.Failed)]
EVERY_ERROR = list(descendants(errors.ArchiveError))


@pytest.mark.parametrize("service", TABLES)
@pytest.mark.parametrize("kind", ANSWERED, ids=lambda kind: kind.__name__)
def test_every_refusal_and_failure_has_a_status_that_the_service_may_answer(
    kind: type[errors.ArchiveError], service: str
) -> None:
    code = failures.status_of(TABLES[service], kind())

    assert status.category(code) is status.Category.FAILURE
    assert code in _GENERAL or any(first <= code <= last for first, last in _RANGES[service])


@pytest.mark.parametrize("service", TABLES)
def test_what_the_peer_did_wrong_has_no_status_because_the_association_is_aborted(service: str) -> None:
    assert not any(issubclass(kind, errors.PeerError) for kind in TABLES[service])


@pytest.mark.parametrize("service", TABLES)
def test_a_table_names_no_base_of_all_errors(service: str) -> None:
    assert errors.ArchiveError not in TABLES[service]


@pytest.mark.parametrize("kind", EVERY_ERROR, ids=lambda kind: kind.__name__)
def test_every_error_has_a_sentence_of_its_own_for_a_message(kind: type[errors.ArchiveError]) -> None:
    assert kind.__doc__, "no docstring"
    assert kind().message.endswith(".")
    assert [each for each in EVERY_ERROR if each.__doc__ == kind.__doc__] == [kind]


def test_every_error_is_the_peers_fault_a_refusal_or_a_failure() -> None:
    branches = {errors.PeerError, errors.Refused, errors.Failed}

    assert set(errors.ArchiveError.__subclasses__()) == branches
    assert set(EVERY_ERROR) - {errors.ArchiveError} == {below for branch in branches for below in descendants(branch)}
