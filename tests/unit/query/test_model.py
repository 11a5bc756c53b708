"""Information models, and what is negotiated for them."""

import pytest

from archive.dicom.attributes import NAME_GROUPS, Level
from archive.errors import UnsupportedSopClass
from archive.query.model import SOP_CLASSES, Model, NameGroup, Operation, Options, accepted_negotiation


@pytest.mark.parametrize(
    "uid, model, operation",
    [
        ("1.2.840.10008.5.1.4.1.2.1.1", Model.PATIENT_ROOT, Operation.FIND),
        ("1.2.840.10008.5.1.4.1.2.2.2", Model.STUDY_ROOT, Operation.MOVE),
        ("1.2.840.10008.5.1.4.1.2.3.3", Model.PATIENT_STUDY_ONLY, Operation.GET),
    ],
)
def test_sop_class_names_model_and_operation(uid, model, operation):
    assert Model.of_sop_class(uid) is model
    assert Operation.of_sop_class(uid) is operation


def test_there_are_nine_query_retrieve_sop_classes():
    assert len(SOP_CLASSES) == 9


def test_other_sop_class_is_unsupported():
    with pytest.raises(UnsupportedSopClass):
        Model.of_sop_class("1.2.840.10008.1.1")


def test_root_of_a_model_is_its_topmost_level():
    assert [model.root for model in Model] == [Level.PATIENT, Level.STUDY, Level.PATIENT]


def test_name_groups_are_those_of_the_columns():
    assert tuple(NameGroup) == NAME_GROUPS


@pytest.mark.parametrize(
    "offered, answered",
    [
        pytest.param("", "", id="nothing"),
        pytest.param("01", "01", id="relational"),
        pytest.param("00", "00", id="not relational"),
        pytest.param("01010101", "01010000", id="no fuzzy names, no timezone"),
        pytest.param("01010101010101", "01010000000101", id="no multi-frame conversion"),
        pytest.param("0102", "0100", id="unknown value"),
        pytest.param("010000000000000101", "01000000000000", id="more bytes than are known"),
    ],
)
def test_find_negotiation_answers_each_sub_field(offered, answered):
    assert accepted_negotiation(bytes.fromhex(offered)).hex() == answered


def test_options_are_what_was_accepted():
    options = Options.from_extended_negotiation(bytes((1, 1, 1, 1, 1, 1, 1)), strict_names=True)

    assert options == Options(True, True, True, True, True)


def test_short_offer_leaves_the_rest_off():
    assert Options.from_extended_negotiation(b"\1") == Options(relational=True)


def test_retrieval_negotiates_relational_only():
    assert accepted_negotiation(b"\1\1", Operation.MOVE) == b"\1\0"
    assert Options.from_extended_negotiation(b"\1\1", Operation.GET) == Options(relational=True)


def test_relational_queries_are_declined_where_keys_are_checked():
    assert accepted_negotiation(b"\1\1\1", strict_keys=True) == b"\0\1\0"
    assert Options.from_extended_negotiation(b"\1\1", strict_keys=True) == Options(
        combined_date_time=True, strict_keys=True
    )
