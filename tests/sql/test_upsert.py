"""A store puts its instance into the index, once, whatever was there before."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from archive.errors import DuplicateInstance
from archive.index.record import AlreadyHeld, Duplicates
from archive.index.tables import instances, patients, series, series_requests, studies, study_usage
from archive.index.usage import Usage
from tests.fix_database import Recorded
from tests.sql.fix_holdings import CT, MR, PET, Shelf, new_shelf, record, series_uid, study_uid

Recorder = Callable[[Engine], AbstractContextManager[Recorded]]


def counts(shelf: Shelf) -> tuple[int, ...]:
    return tuple(len(shelf.rows(table)) for table in (patients, studies, series, instances))


# New entities


def test_first_instance_makes_a_row_at_each_level(shelf):
    stored = shelf.store(record(size_bytes=700))

    assert counts(shelf) == (1, 1, 1, 1)
    assert not stored.replaced
    assert shelf.usage() == Usage(1, 1, 1, 700)
    shelf.assert_sound()


def test_first_instance_sets_what_the_study_lists_and_counts(shelf):
    shelf.store(record(size_bytes=700))

    study, counters = shelf.one(studies), shelf.one(study_usage)
    assert (study.modalities_in_study, study.sop_classes_in_study) == ("CT", CT)
    assert (counters.number_of_series, counters.number_of_instances, counters.size_bytes) == (1, 1, 700)


def test_second_instance_of_a_series_adds_to_it(shelf):
    shelf.store(record(number=1, size_bytes=700))
    shelf.store(record(number=2, size_bytes=50))

    assert counts(shelf) == (1, 1, 1, 2)
    assert shelf.usage() == Usage(1, 1, 2, 750)
    shelf.assert_sound()


def test_new_series_adds_to_the_study_and_to_its_lists(shelf):
    shelf.store(record(series=1))
    shelf.store(record(series=2, Modality="MR", SOPClassUID=MR))

    assert counts(shelf) == (1, 1, 2, 2)
    assert shelf.one(studies).modalities_in_study == "CT\\MR"
    assert shelf.one(studies).sop_classes_in_study == f"{CT}\\{MR}"
    shelf.assert_sound()


def test_another_sop_class_in_a_series_is_listed(shelf):
    shelf.store(record(number=1))
    shelf.store(record(number=2, SOPClassUID=PET))

    assert shelf.one(series).sop_classes == f"{PET}\\{CT}"
    assert shelf.one(studies).sop_classes_in_study == f"{PET}\\{CT}"


def test_new_study_joins_the_patient(shelf):
    shelf.store(record(study=1))
    shelf.store(record(study=2))

    assert counts(shelf) == (1, 2, 2, 2)
    shelf.assert_sound()


def test_series_keeps_the_requests_it_answers(shelf):
    items = [
        {"RequestedProcedureID": "RP1", "ScheduledProcedureStepID": "SPS1"},
        {"RequestedProcedureID": "RP2", "AccessionNumber": "A9"},
    ]

    shelf.store(record(number=1, RequestAttributesSequence=items))
    shelf.store(record(number=2, RequestAttributesSequence=items))

    held = [(row.requested_procedure_id, row.accession_number) for row in shelf.rows(series_requests)]
    assert held == [("RP1", None), ("RP2", "A9")]


def test_areas_do_not_share_anything(shelf):
    other = new_shelf(shelf.database, f"OTHER-{uuid4().hex}")

    shelf.store(record())
    other.store(record(size_bytes=5))

    assert shelf.usage() == Usage(1, 1, 1, 1000)
    assert other.usage() == Usage(1, 1, 1, 5)
    assert counts(shelf) == counts(other) == (1, 1, 1, 1)


# What makes a patient one


@pytest.mark.parametrize("patient_id", [None, "", "  "], ids=["absent", "empty", "blank"])
def test_patients_without_an_id_stay_apart_by_study(shelf, patient_id):
    shelf.store(record(study=1, series=1, PatientID=patient_id))
    shelf.store(record(study=1, series=2, PatientID=patient_id))
    shelf.store(record(study=2, PatientID=patient_id))

    assert counts(shelf)[:2] == (2, 2)
    assert [row.patient_id for row in shelf.rows(patients)] == [None, None]


def test_the_same_id_of_two_issuers_is_two_patients(shelf):
    shelf.store(record(study=1, IssuerOfPatientID="NORTH"))
    shelf.store(record(study=2, IssuerOfPatientID="SOUTH"))
    shelf.store(record(study=3))
    shelf.store(record(study=4, IssuerOfPatientID="NORTH"))

    assert [row.issuer_of_patient_id for row in shelf.rows(patients)] == ["NORTH", "SOUTH", None]


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param({"PatientID": "ID\\NORTH"}, id="backslash that reads as an issuer"),
        pytest.param({"PatientID": f"\\{study_uid()}"}, id="backslash that reads as a study"),
    ],
)
def test_an_id_with_a_backslash_is_nobody_elses(shelf, odd):
    shelf.store(record(study=1, PatientID="ID", IssuerOfPatientID="NORTH"))
    shelf.store(record(patient=1, study=2, PatientID=None))
    shelf.store(record(study=3, **odd))

    assert counts(shelf)[0] == 3


# Instances that come again


def test_replaced_instance_has_a_new_row_and_its_old_file_is_queued(shelf):
    first = record(size_bytes=700)
    shelf.store(first)

    stored = shelf.store(again := record(size_bytes=900))

    assert stored.replaced
    assert shelf.one(instances).path == again.path
    assert shelf.deleted_paths() == [first.path]
    assert shelf.usage() == Usage(1, 1, 1, 900)
    shelf.assert_sound()


def test_replaced_instance_keeps_the_row_of_its_series_and_study(shelf):
    shelf.store(record())
    held = shelf.one(studies).pk, shelf.one(series).pk

    shelf.store(record())

    assert (shelf.one(studies).pk, shelf.one(series).pk) == held
    assert shelf.one(series).sop_classes == CT
    assert shelf.one(studies).sop_classes_in_study == CT


def test_replacement_of_another_sop_class_changes_the_lists(shelf):
    shelf.store(record(number=1), record(number=2))

    shelf.store(record(number=1, SOPClassUID=MR))

    assert shelf.one(series).sop_classes == f"{CT}\\{MR}"
    shelf.store(record(number=2, SOPClassUID=MR))
    assert shelf.one(series).sop_classes == MR
    shelf.assert_sound()


def test_kept_instance_is_not_touched(shelf):
    first = record(size_bytes=700)
    shelf.store(first)

    with pytest.raises(AlreadyHeld) as held:
        shelf.store(record(size_bytes=900), duplicates=Duplicates.KEEP)

    assert held.value.path == first.path
    assert shelf.one(instances).path == first.path
    assert shelf.usage() == Usage(1, 1, 1, 700)
    assert shelf.deleted_paths() == []
    shelf.assert_sound()


def test_kept_instance_under_another_study_leaves_no_study_behind(shelf):
    shelf.store(record())

    with pytest.raises(AlreadyHeld):
        shelf.store(record(StudyInstanceUID=study_uid(9), PatientID="P9"), duplicates=Duplicates.KEEP)

    assert counts(shelf) == (1, 1, 1, 1)
    shelf.assert_sound()


def test_rejected_instance_changes_nothing(shelf):
    shelf.store(record())
    again = record()

    with pytest.raises(DuplicateInstance) as refusal:
        shelf.store(again, duplicates=Duplicates.REJECT)

    assert refusal.value.sop_instance_uid == again.header.sop_instance_uid
    assert shelf.usage() == Usage(1, 1, 1, 1000)
    assert shelf.deleted_paths() == []


@pytest.mark.parametrize("duplicates", list(Duplicates))
def test_the_same_file_stored_once_more_counts_once(shelf, duplicates):
    shelf.store(same := record())

    with pytest.raises(AlreadyHeld) as held:
        shelf.store(same, duplicates=duplicates)

    assert held.value.path == same.path
    assert shelf.usage() == Usage(1, 1, 1, 1000)
    assert shelf.deleted_paths() == []
    shelf.assert_sound()


# Instances that come again elsewhere


def test_instance_that_comes_under_another_study_moves_there(shelf):
    first = record(patient=1)
    shelf.store(first)

    shelf.store(record(patient=1, StudyInstanceUID=study_uid(2), SeriesInstanceUID=series_uid(2), PatientID="P2"))

    assert shelf.one(studies).study_instance_uid == study_uid(2)
    assert shelf.one(patients).patient_id == "P2"
    assert shelf.one(series).series_instance_uid == series_uid(2)
    assert shelf.deleted_paths() == [first.path]
    assert shelf.usage() == Usage(1, 1, 1, 1000)
    shelf.assert_sound()


def test_instance_that_moves_leaves_what_else_was_there(shelf):
    shelf.store(record(number=1), record(number=2, SOPClassUID=PET), record(series=2, Modality="MR", SOPClassUID=MR))

    shelf.store(record(series=2, SOPInstanceUID=record(number=2).header.sop_instance_uid, SOPClassUID=PET))

    ct_series, mr_series = shelf.rows(series)
    assert (ct_series.number_of_instances, ct_series.sop_classes) == (1, CT)
    assert (mr_series.number_of_instances, mr_series.sop_classes) == (2, f"{PET}\\{MR}")
    shelf.assert_sound()


def test_last_instance_that_moves_to_another_series_takes_the_modality_along(shelf):
    shelf.store(record(series=1), record(series=2, Modality="MR", SOPClassUID=MR))

    shelf.store(record(series=1, SOPInstanceUID=record(series=2).header.sop_instance_uid, SOPClassUID=MR))

    assert shelf.one(studies).modalities_in_study == "CT"
    assert shelf.one(studies).sop_classes_in_study == f"{CT}\\{MR}"
    assert shelf.usage() == Usage(1, 1, 2, 2000)
    shelf.assert_sound()


def test_requests_of_a_series_go_with_it(shelf):
    items = [{"RequestedProcedureID": "RP1"}]
    shelf.store(record(series=1, RequestAttributesSequence=items))

    shelf.store(record(series=2, SOPInstanceUID=record(series=1).header.sop_instance_uid))

    assert shelf.rows(series_requests) == []


# Parents remembered from the store before


def test_known_parents_are_used_without_a_look(shelf, query_recorder: Recorder):
    known = shelf.store(record(number=1)).parents

    with query_recorder(shelf.database.engine) as recorded:
        stored = shelf.store(record(number=2), known=known)

    assert stored.parents == known
    assert recorded.starting("SELECT") == []
    assert len(recorded.starting("SELECT", "INSERT", "UPDATE", "DELETE")) <= 5
    shelf.assert_sound()


def test_known_study_that_was_removed_is_made_anew(shelf):
    known = shelf.store(record(number=1)).parents
    shelf.remove_study(study_uid())

    stored = shelf.store(record(number=2), known=known)

    assert stored.parents.study_pk != known.study_pk
    assert shelf.usage() == Usage(1, 1, 1, 1000)
    shelf.assert_sound()


def test_known_series_that_was_emptied_is_made_anew(shelf):
    known = shelf.store(record(series=1)).parents
    shelf.store(record(series=2, SOPInstanceUID=record(series=1).header.sop_instance_uid))

    stored = shelf.store(record(series=1, number=2), known=known)

    assert stored.parents.study_pk == known.study_pk
    assert stored.parents.series_pk != known.series_pk
    assert shelf.usage() == Usage(1, 2, 2, 2000)
    shelf.assert_sound()


def test_usual_store_executes_few_statements(shelf, query_recorder: Recorder):
    known = shelf.store(record(number=1)).parents

    with query_recorder(shelf.database.engine) as recorded:
        shelf.store(record(number=2), known=known)

    assert len(recorded.statements) <= 5
