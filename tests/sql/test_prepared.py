"""Prepared statements do what the statements do that they were made from."""

from datetime import UTC, date, datetime, time
from typing import Any

import pytest
from sqlalchemy import bindparam, insert, select, update

from archive.database import dialects, transaction
from archive.database.prepared import Prepared
from archive.errors import DatabaseFailed
from archive.index.tables import patients, studies
from tests.fix_archive import FoundedArchive

_STUDY: dict[str, Any] = {
    "study_date": date(2026, 3, 1),
    "study_time": time(10, 11, 12, 345678),
    "study_description": "100 % %s %(x)s :name ? «Schädel»",
    "patient_weight": 71.5,
    "fingerprint": b"\0\xff",
    "norm_version": 1,
    "created_at": datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=UTC),
}
_insert_study = Prepared(
    lambda dialect: dialects.insert_once(dialect.name, studies),
    [*_STUDY, "area_pk", "patient_pk", "study_instance_uid"],
)


def _patient(archive: FoundedArchive) -> dict[str, int]:
    row = {"area_pk": archive.area.pk, "patient_key": "P", "norm_version": 1, "created_at": datetime.now(UTC)}
    statement = insert(patients).values(row).returning(patients.c.pk)
    pk = transaction.write(archive.database, lambda connection: connection.execute(statement).scalar_one())
    return {"area_pk": archive.area.pk, "patient_pk": pk}


def _study(archive: FoundedArchive, uid: str) -> dict[str, Any]:
    with transaction.read(archive.database) as connection:
        row = connection.execute(select(studies).where(studies.c.study_instance_uid == uid)).mappings().one()
    return {name: value for name, value in row.items() if name not in ("pk", "study_instance_uid")}


def test_a_prepared_insert_stores_what_the_plain_one_stores(founded: FoundedArchive):
    keys = _patient(founded)

    def both(connection: Any) -> None:
        connection.execute(insert(studies).values(**_STUDY, **keys, study_instance_uid="1.1"))
        _insert_study.run(connection, {**_STUDY, **keys, "study_instance_uid": "1.2"})

    transaction.write(founded.database, both)

    assert _study(founded, "1.2") == _study(founded, "1.1")


def test_a_prepared_insert_tells_whether_the_row_was_there(founded: FoundedArchive):
    values = {**_STUDY, **_patient(founded), "study_instance_uid": "1.1"}

    def insert_it(connection: Any) -> int:
        return _insert_study.run(connection, values).rowcount

    assert transaction.write(founded.database, insert_it) == 1
    assert transaction.write(founded.database, insert_it) == 0


def test_many_rows_at_once_tell_how_many_were_new(founded: FoundedArchive):
    values = {**_STUDY, **_patient(founded)}

    def insert_them(connection: Any, *uids: str) -> int:
        return _insert_study.run_many(connection, ({**values, "study_instance_uid": uid} for uid in uids))

    assert transaction.write(founded.database, lambda connection: insert_them(connection, "1.1", "1.2", "1.3")) == 3
    assert transaction.write(founded.database, lambda connection: insert_them(connection, "1.3", "1.4", "1.1")) == 1
    assert _study(founded, "1.4") == _study(founded, "1.1")


def test_constants_of_a_prepared_statement_stay_when_values_change(founded: FoundedArchive):
    rename = Prepared(
        lambda _: update(studies).where(studies.c.study_instance_uid == bindparam("uid")).values(study_description="X")
    )
    values = {**_STUDY, **_patient(founded)}

    def work(connection: Any) -> None:
        for uid in ("1.1", "1.2"):
            _insert_study.run(connection, {**values, "study_instance_uid": uid})
        rename.run(connection, {"uid": "1.2"})

    transaction.write(founded.database, work)

    assert _study(founded, "1.1")["study_description"] == _STUDY["study_description"]
    assert _study(founded, "1.2")["study_description"] == "X"


def test_an_error_of_the_driver_is_one_of_ours(founded: FoundedArchive):
    orphan = {**_STUDY, "area_pk": founded.area.pk, "patient_pk": 999_999, "study_instance_uid": "1.1"}

    with pytest.raises(DatabaseFailed):
        transaction.write(founded.database, lambda connection: _insert_study.run(connection, orphan))
