"""The category of every status, known or not (PS3.7 annex C)."""

import pytest
from pynetdicom import status as pynetdicom_status

from archive.dimse import status
from archive.dimse.status import Category, category


@pytest.mark.parametrize(
    "code, expected",
    [
        (0x0000, Category.SUCCESS),
        (0xFF00, Category.PENDING),
        (0xFF01, Category.PENDING),
        (0xFE00, Category.CANCEL),
        (0xB000, Category.WARNING),
        (0xBFFF, Category.WARNING),
        (0x0001, Category.WARNING),
        (0x0107, Category.WARNING),
        (0xA700, Category.FAILURE),
        (0xC123, Category.FAILURE),
        (0x0122, Category.FAILURE),
        (0x5555, Category.FAILURE),
    ],
)
def test_category(code: int, expected: Category) -> None:
    assert category(code) is expected


def test_every_named_status_has_the_category_that_pynetdicom_gives_it() -> None:
    known = (
        pynetdicom_status.GENERAL_STATUS
        | pynetdicom_status.STORAGE_SERVICE_CLASS_STATUS
        | pynetdicom_status.QR_FIND_SERVICE_CLASS_STATUS
        | pynetdicom_status.QR_MOVE_SERVICE_CLASS_STATUS
    )
    named = {name: code for name, code in vars(status).items() if name.isupper() and isinstance(code, int)}

    assert named
    for name, code in named.items():
        assert category(code).value == known[code][0], name


def test_only_pending_means_that_more_follows() -> None:
    assert status.is_pending(status.PENDING)
    assert status.is_pending(status.PENDING_WITH_UNSUPPORTED_KEYS)
    assert not status.is_pending(status.SUCCESS)
    assert not status.is_pending(status.CANCEL)
