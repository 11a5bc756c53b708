"""How long the logs go back: what is older is dropped by housekeeping, the rest stays."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Table, insert, select

from archive.database import transaction
from archive.index.activity_tables import associations, operations
from archive.index.tables import evictions
from archive.registry.tables import changes
from archive.server import retention
from archive.server.housekeeping import Housekeeping
from archive.server.retention import BATCH, Forgetting, Retention
from tests.fix_archive import FoundedArchive
from tests.sql.fix_activity import association, find, happened


def _associations(founded: FoundedArchive, *moments: datetime) -> None:
    noted = [association(moment) for moment in moments]
    happened(founded.database, *((each, find(each.began_at)) for each in noted))


def _evictions(founded: FoundedArchive, *moments: datetime) -> None:
    went = {"area_pk": founded.area.pk, "study_instance_uid": "1.2", "is_whole_study": True, "reason": "max_studies"}
    rows = [went | {"number_of_instances": 1, "size_bytes": 1, "evicted_at": moment} for moment in moments]
    transaction.write(founded.database, lambda connection: connection.execute(insert(evictions), rows))


def _changes(founded: FoundedArchive, *moments: datetime) -> None:
    change = {"os_user": "ada", "os_host": "pacs1", "action": "pin", "subject": "study", "name": "1.2"}
    rows = [change | {"changed_at": moment} for moment in moments]
    transaction.write(founded.database, lambda connection: connection.execute(insert(changes), rows))


LOGS = {
    "activity": (_associations, associations, "began_at", Retention(activity_days=30)),
    "evictions": (_evictions, evictions, "evicted_at", Retention(evictions_days=30)),
    "changes": (_changes, changes, "changed_at", Retention(changes_days=30)),
}


def _moments(founded: FoundedArchive, table: Table, column: str) -> list[datetime]:
    with transaction.read(founded.database) as connection:
        return sorted(connection.scalars(select(table.c[column])))


@pytest.mark.parametrize("note, table, column, days", LOGS.values(), ids=LOGS)
def test_what_is_older_than_its_log_goes_back_is_forgotten(
    founded: FoundedArchive, note: Callable[..., None], table: Table, column: str, days: Retention
):
    now = datetime.now(UTC)
    young = now - timedelta(days=29)
    at_founding = _moments(founded, table, column)
    note(founded, young, *(now - timedelta(days=31, seconds=n) for n in range(BATCH + 1)))

    Housekeeping(founded.database, founded.data, retention=days).round()

    assert _moments(founded, table, column) == sorted([*at_founding, young])


def test_operations_go_with_their_association(founded: FoundedArchive):
    now = datetime.now(UTC)
    _associations(founded, now - timedelta(days=31), now)

    Housekeeping(founded.database, founded.data, retention=Retention(activity_days=30)).round()

    assert len(_moments(founded, operations, "began_at")) == 1


@pytest.mark.parametrize("note, table, column, days", LOGS.values(), ids=LOGS)
def test_without_a_limit_a_log_goes_back_for_ever(
    founded: FoundedArchive, note: Callable[..., None], table: Table, column: str, days: Retention
):
    long_ago = datetime(2001, 1, 1, tzinfo=UTC)
    note(founded, long_ago)

    Housekeeping(founded.database, founded.data, retention=Retention()).round()

    assert _moments(founded, table, column)[0] == long_ago


def test_more_than_one_round_takes_is_left_to_the_next(founded: FoundedArchive, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr(retention, "BATCHES_IN_A_ROUND", 2)
    _evictions(founded, *(datetime(2001, 1, 1, tzinfo=UTC) for _ in range(5)))
    forgetting = Forgetting(founded.database, Retention(evictions_days=1), lambda: True, lambda: 0.0)

    is_more_left = forgetting.some([founded.area])
    left = _moments(founded, evictions, "evicted_at")

    assert is_more_left
    assert len(left) == 1
    assert not forgetting.some([founded.area])
    assert _moments(founded, evictions, "evicted_at") == []


def test_logs_are_looked_at_now_and_then(founded: FoundedArchive):
    seconds = [0.0]
    forgetting = Forgetting(founded.database, Retention(evictions_days=1), lambda: True, lambda: seconds[0])
    forgetting.some([founded.area])
    _evictions(founded, datetime(2001, 1, 1, tzinfo=UTC))

    forgetting.some([founded.area])
    soon = len(_moments(founded, evictions, "evicted_at"))
    seconds[0] = retention.BETWEEN_FORGETTING_SECONDS
    forgetting.some([founded.area])

    assert soon == 1
    assert _moments(founded, evictions, "evicted_at") == []
