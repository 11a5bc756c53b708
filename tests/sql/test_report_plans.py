"""Reports that are asked often answer by an index, and what was received by day is never counted from instances."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from archive.database import transaction
from archive.index import activity, report_rows
from archive.index.activity import Source
from archive.index.activity_tables import associations, operations
from archive.index.report_rows import Wanted
from archive.index.reports import REPORTS
from tests.fix_archive import FoundedArchive
from tests.sql.fix_activity import association, find, happened
from tests.sql.fix_plans import Plan, plans

NUMBER = 3000
FIRST = datetime(2026, 3, 1, tzinfo=UTC)
LAST = FIRST + timedelta(minutes=NUMBER)


@pytest.fixture
def busy(founded: FoundedArchive) -> FoundedArchive:
    """An archive with some thousand associations, a minute apart, and as many days of receiving."""
    moments = [FIRST + timedelta(minutes=n) for n in range(NUMBER)]
    happened(
        founded.database,
        *((association(each), find(each)) for each in moments),
        received={Source((FIRST + timedelta(days=n)).date(), "ARCHIVE", "CT1", "CT"): (1, 1) for n in range(NUMBER)},
    )
    if not founded.database.is_embedded:
        with founded.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
    return founded


def plan_of(archive: FoundedArchive, name: str, wanted: Wanted) -> Plan:
    report = REPORTS[name]
    with transaction.read(archive.database) as connection:
        (plan,) = plans(
            connection, lambda opened: list(report_rows.rows(opened, report, wanted, tuple(report.columns)))
        )
    return plan


@pytest.mark.parametrize("name", ["access", "refusals", "associations"])
def test_the_newest_of_the_log_are_looked_up_by_time(busy: FoundedArchive, name: str) -> None:
    plan = plan_of(busy, name, Wanted(since=LAST - timedelta(minutes=10)))

    assert plan.looks_up("ix_associations_began_at", "began_at"), plan
    if name != "associations":
        assert plan.looks_up("ix_operations_began_at", "began_at"), plan
    assert "operations" not in plan.read_whole


def test_what_was_received_is_looked_up_by_day_and_never_counted(busy: FoundedArchive, dialect: str) -> None:
    plan = plan_of(busy, "received", Wanted(since=datetime(2034, 1, 1, tzinfo=UTC)))

    key = "sqlite_autoindex_received_by_day_1" if dialect == "sqlite" else "pk_received_by_day"
    assert plan.looks_up(key, "day"), plan
    assert plan.read_whole == set()
    assert set(plan.indexes) == {key}


def test_the_last_days_and_the_last_associations_are_read_in_the_order_of_an_index(
    busy: FoundedArchive, dialect: str
) -> None:
    for report, index in (("received", "pk_received_by_day"), ("associations", "ix_associations_began_at")):
        plan = plan_of(busy, report, Wanted(limit=10))

        assert dialect == "sqlite" or index in plan.indexes, plan


def test_old_associations_are_looked_up_with_their_operations(busy: FoundedArchive) -> None:
    with busy.database.writing() as connection:
        (plan,) = plans(connection, lambda opened: activity.forget(opened, FIRST + timedelta(minutes=9), 200))
        connection.rollback()

    assert plan.looks_up("ix_associations_began_at", "began_at"), plan


def test_rows_have_the_keys_of_their_values(founded: FoundedArchive) -> None:
    """Inserted by hundreds, each operation is below the association it was given with."""
    moments = [FIRST + timedelta(minutes=n) for n in range(500)]
    pks = happened(founded.database, *((association(each), find(each)) for each in moments))

    with transaction.read(founded.database) as connection:
        began = dict(connection.execute(text("SELECT pk, worker FROM associations")).all())
        pairs = connection.execute(
            associations.join(operations, operations.c.association_pk == associations.c.pk).select()
        ).all()

    assert sorted(began) == sorted(pks)
    assert [row[1] for row in sorted(pairs)] == moments
    assert all(row.began_at == row.began_at_1 for row in pairs)
