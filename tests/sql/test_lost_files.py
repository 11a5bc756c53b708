"""An instance whose file was lost is healed by sending it again, whatever the area does with duplicates."""

from collections.abc import Mapping
from typing import Any

import pytest

from archive.database import transaction
from archive.registry import changes
from tests.fix_archive import FoundedArchive
from tests.fix_instances import instance


def _set(archive: FoundedArchive, settings: Mapping[str, Any]) -> None:
    transaction.write(archive.database, lambda connection: changes.set_area(connection, archive.area.name, settings))


@pytest.mark.parametrize("duplicates", ["replace", "keep"])
def test_a_lost_file_is_there_again_after_the_instance_was_sent_again(founded: FoundedArchive, duplicates: str):
    founded.store(instance(number=1))
    _set(founded, {"duplicates": duplicates})
    (lost,) = founded.files()
    lost.unlink()

    founded.store(instance(number=1))

    assert len(founded.files()) == 1


def test_a_file_that_is_kept_is_not_touched_and_the_new_one_goes(founded: FoundedArchive):
    founded.store(instance(number=1))
    _set(founded, {"duplicates": "keep"})
    before = founded.files()

    founded.store(instance(number=1))

    assert founded.files() == before
