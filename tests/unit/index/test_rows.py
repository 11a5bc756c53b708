"""What a header becomes as the values of rows."""

import zlib
from datetime import date, time
from decimal import Decimal

import pytest

from archive.dicom.attributes import Level
from archive.dicom.encode import parse
from archive.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN
from archive.index import rows
from archive.index.tables import instances, patients, series, series_requests, studies
from tests.sql.fix_holdings import CT, record, scanned, study_uid


def test_every_column_of_a_row_is_set():
    stored = record()
    given_elsewhere = {
        "patients": {"pk", "area_pk", "created_at"},
        "studies": {"pk", "area_pk", "patient_pk", "created_at", "modalities_in_study", "sop_classes_in_study"},
        "series": {"pk", "area_pk", "study_pk", "created_at", "number_of_instances", "size_bytes"},
        "instances": {"pk", "area_pk", "study_pk", "series_pk"},
    }

    made = {
        "patients": rows.patient_values(stored.header),
        "studies": rows.study_values(stored),
        "series": rows.series_values(stored),
        "instances": stored.instance_values,
    }

    for table in (patients, studies, series, instances):
        assert made[table.name].keys() | given_elsewhere[table.name] == set(table.c.keys())


@pytest.mark.parametrize("value", [None, "", "   "], ids=["absent", "empty", "blank"])
def test_absent_and_empty_are_the_same(value):
    made = rows.study_values(record(AccessionNumber=value, StudyDate=value, ReferringPhysicianName=value))

    columns = ("accession_number", "study_date", "study_date_text", "referring_physician_name_alphabetic")
    assert [made[column] for column in columns] == [None] * 4


@pytest.mark.parametrize(
    "keyword, text, column, typed",
    [
        ("StudyDate", "20260102", "study_date", date(2026, 1, 2)),
        ("StudyDate", "2026.01.02", "study_date", date(2026, 1, 2)),
        ("StudyDate", "20260230", "study_date", None),
        ("StudyTime", "101010.5", "study_time", time(10, 10, 10, 500000)),
        ("StudyTime", "noon", "study_time", None),
        ("PatientWeight", "70.50", "patient_weight", Decimal("70.50")),
        ("PatientWeight", "1e999", "patient_weight", None),
    ],
)
def test_typed_columns_keep_the_text_beside(keyword, text, column, typed):
    made = rows.study_values(record(**{keyword: text}))

    assert (made[column], made[f"{column}_text"]) == (typed, text)


def test_integers_beyond_32_bits_are_only_text():
    made = record(InstanceNumber="99999999999").instance_values

    assert (made["instance_number"], made["instance_number_text"]) == (None, "99999999999")


def test_names_are_held_by_group_and_folded():
    made = rows.patient_values(record(PatientName="Müller^Jörg=山田=Ｙａ").header)

    assert [made[f"patient_name_{group}"] for group in ("alphabetic", "ideographic", "phonetic")] == [
        *("Müller^Jörg", "山田", "Ｙａ")
    ]
    assert [made[f"patient_name_{group}_folded"] for group in ("alphabetic", "ideographic", "phonetic")] == [
        *("muller^jorg", "山田", "ya")
    ]


def test_several_empty_values_are_none():
    made = rows.patient_values(record(OtherPatientIDs="\\\\", OtherPatientNames="\\").header)

    assert (made["other_patient_ids"], made["other_patient_names_alphabetic"]) == (None, None)


def test_no_text_is_longer_than_an_index_entry_may_be():
    long = "漢ﷺ" * 5000
    stored = record(
        **dict.fromkeys(("PatientID", "IssuerOfPatientID", "AccessionNumber", "StudyID", "Modality"), long),
        **dict.fromkeys(("PatientName", "ReferringPhysicianName"), f"{long}={long}={long}"),
    )

    made = rows.patient_values(stored.header) | rows.study_values(stored) | rows.series_values(stored)

    too_long = {name: len(value.encode()) for name, value in made.items() if isinstance(value, str)}
    assert {name for name, size_bytes in too_long.items() if size_bytes > rows.MAX_TEXT_BYTES} == {"patient_key"}
    assert too_long["patient_key"] <= rows.MAX_KEY_BYTES


def test_text_is_cut_between_characters():
    made = rows.study_values(record(StudyDescription="漢" * 1000))

    assert made["study_description"] == "漢" * (rows.MAX_TEXT_BYTES // 3)


def test_long_text_is_held_whole():
    comment = "ä" * 10_240

    assert rows.patient_values(record(PatientComments=comment).header)["patient_comments"] == comment


# Patients


@pytest.mark.parametrize(
    "one, other",
    [
        pytest.param({"PatientID": "A"}, {"PatientID": "B"}, id="IDs"),
        pytest.param({"PatientID": "A"}, {"PatientID": "a"}, id="case"),
        pytest.param({"PatientID": "A"}, {"PatientID": "A", "IssuerOfPatientID": "N"}, id="an issuer"),
        pytest.param(
            {"PatientID": "A", "IssuerOfPatientID": "N"}, {"PatientID": "A", "IssuerOfPatientID": "M"}, id="issuers"
        ),
        pytest.param({"PatientID": "A", "IssuerOfPatientID": "N"}, {"PatientID": "A\\N"}, id="two values"),
        pytest.param({"PatientID": "A", "IssuerOfPatientID": "N"}, {"PatientID": "A\\=N"}, id="our own sign"),
        pytest.param({"PatientID": "A\\", "IssuerOfPatientID": "N"}, {"PatientID": "A\\\\=N"}, id="doubled backslash"),
        pytest.param({"PatientID": None}, {"PatientID": f"\\{study_uid()}"}, id="a study"),
        pytest.param({"PatientID": None}, {"PatientID": None, "StudyInstanceUID": "1.2"}, id="studies without ID"),
    ],
)
def test_patients_that_differ_have_different_keys(one, other):
    assert rows.patient_key(record(**one).header) != rows.patient_key(record(**other).header)


def test_patient_without_an_id_ignores_the_issuer():
    header = record(PatientID=None, IssuerOfPatientID="N").header

    assert rows.patient_key(header) == rows.patient_key(record(PatientID=None).header)


# Fingerprints


def test_fingerprints_change_with_the_columns_of_their_level():
    first = record()

    assert record(number=2, InstanceNumber="9").study_fingerprint == first.study_fingerprint
    assert record(number=2, InstanceNumber="9").series_fingerprint == first.series_fingerprint
    assert record(StudyID="9").study_fingerprint != first.study_fingerprint
    assert record(StudyID="9").series_fingerprint == first.series_fingerprint
    assert record(PatientSex="F").study_fingerprint != first.study_fingerprint
    assert record(SeriesNumber="9").study_fingerprint == first.study_fingerprint
    assert record(SeriesNumber="9").series_fingerprint != first.series_fingerprint


def test_displayed_values_are_those_that_are_held():
    header = record(PatientName="A^B=漢", PatientBirthDate="soon", OtherPatientIDs="A\\B").header

    shown = rows.displayed(header, Level.PATIENT)

    assert (shown["PatientName"], shown["PatientBirthDate"], shown["OtherPatientIDs"]) == ("A^B=漢", "soon", "A\\B")
    assert shown["PatientSex"] == ""


# Sequences, the remaining header, lists


def test_each_request_is_a_row():
    items = [{"RequestedProcedureID": "R1", "AccessionNumber": ""}, {"StudyInstanceUID": "1.2"}]

    made = rows.request_values(scanned({"SOPClassUID": CT, "RequestAttributesSequence": items}))

    assert [set(row) | {"pk", "series_pk"} for row in made] == [set(series_requests.c.keys())] * 2
    assert [(row["requested_procedure_id"], row["accession_number"]) for row in made] == [("R1", None), (None, None)]
    assert made[1]["study_instance_uid"] == "1.2"


def test_the_remaining_header_is_a_deflated_data_set():
    made = rows.series_values(record(RequestAttributesSequence=[{"RequestedProcedureID": "R1"}]))

    elements = parse(zlib.decompress(made["rest"], wbits=-zlib.MAX_WBITS), EXPLICIT_VR_LITTLE_ENDIAN)
    assert 0x00400275 in [element.tag for element in elements]


@pytest.mark.parametrize("values, text", [([], None), (["CT"], "CT"), (["PT", "CT"], "CT\\PT")])
def test_lists_are_sorted_text(values, text):
    assert rows.join(values) == text
    assert rows.split(text) == sorted(values)


@pytest.mark.parametrize("size_bytes", [1, 255, 256, 257, 60_000])
def test_the_rest_of_any_size_is_a_deflated_data_set(size_bytes: int):
    rest = bytes(range(256)) * 240

    deflated = rows._deflated(rest[:size_bytes])

    assert deflated is not None
    assert zlib.decompress(deflated, wbits=-zlib.MAX_WBITS) == rest[:size_bytes]
