"""Subfolders that instances are sorted into: what they are called, and when there is a new one."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import count

import pytest

from archive.errors import Misconfigured, Unsortable
from archive.storage.subfolders import (
    NoSubfolders,
    SeriesDateFolders,
    StudyFolders,
    StudyUidFolders,
    by_patient,
    by_prefix,
)
from tests.unit.storage.fix_received import received, with_raw

NOON = datetime(2026, 2, 3, 12, 4, 5, 678901)
A, B = "1.2.3", "4.5.6"
PATIENT_NAME, STUDY_UID, SERIES_DATE = 0x00100010, 0x0020000D, 0x00080021


class Made:
    """Folders that were made, and those that somebody else had made before."""

    def __init__(self, *there: str) -> None:
        self.names = list(there)

    def __call__(self, name: str) -> bool:
        is_new = name not in self.names
        if is_new:
            self.names.append(name)
        return is_new


def ticking() -> Callable[[], datetime]:
    """A clock that goes a second further with each look."""
    seconds = count()
    return lambda: NOON + timedelta(seconds=next(seconds))


def test_without_sorting_all_lies_in_the_output_folder():
    assert NoSubfolders().subfolder(received(), Made()) == ""


@pytest.mark.parametrize(
    "date, folder",
    [
        pytest.param(b"20240229", "data/2024/02/29", id="DA"),
        pytest.param(b"2024.02.29", "data/2024/02/29", id="ACR-NEMA"),
        pytest.param(b"20240231", "data/2024/02/31", id="no-such-day-of-the-month"),
        pytest.param(b"00000101", "data/0000/01/01", id="year-0"),
        pytest.param(b"20241301", "undef/20260203", id="month-13"),
        pytest.param(b"20240132", "undef/20260203", id="day-32"),
        pytest.param(b"20240100", "undef/20260203", id="day-0"),
        pytest.param(b"2024.0101", "undef/20260203", id="one-dot"),
        pytest.param(b"2024-01-01", "undef/20260203", id="ISO-8601"),
        pytest.param(b"202401", "undef/20260203", id="short"),
        pytest.param(b"../../..", "undef/20260203", id="path"),
        pytest.param(b"", "undef/20260203", id="empty"),
        pytest.param("２０２４０１０１".encode(), "undef/20260203", id="digits-of-another-script"),
    ],
)
def test_a_series_date_is_a_folder_for_year_month_and_day(date: bytes, folder: str):
    sorting = SeriesDateFolders(lambda: NOON)

    assert sorting.subfolder(with_raw(SERIES_DATE, b"DA", date), Made()) == folder


def test_without_a_series_date_it_is_the_day_of_reception():
    sorting = SeriesDateFolders(lambda: NOON)

    assert sorting.subfolder(received(), Made()) == "undef/20260203"


@pytest.mark.parametrize("prefix, folder", [("p", f"p_{A}"), ("", A), ("a b$", f"a b$_{A}"), ("x/p", f"x/p_{A}")])
def test_a_folder_for_a_study_uid_has_the_prefix_if_there_is_one(prefix: str, folder: str):
    assert StudyUidFolders(prefix).subfolder(received(StudyInstanceUID=A), Made()) == folder


@pytest.mark.parametrize(
    "uid, folder",
    [
        pytest.param(b"../../x ", ".._.._x", id="path"),
        pytest.param(b"1.2\\3.4 ", "1.2", id="the-first-of-two"),
        pytest.param(b"1.2 \0", "1.2", id="padded-twice"),
        pytest.param(b"1\0\0\x012", "1___2", id="NUL"),
    ],
)
def test_what_is_unusual_in_a_study_uid_becomes_an_underscore(uid: bytes, folder: str):
    assert StudyUidFolders().subfolder(with_raw(STUDY_UID, b"UI", uid), Made()) == folder


@pytest.mark.parametrize("uid", [b". ", b"..", b"\0\0", b"  ", b""])
def test_a_study_uid_that_is_no_name_of_a_folder_is_refused(uid: bytes):
    with pytest.raises(Unsortable):
        StudyUidFolders().subfolder(with_raw(STUDY_UID, b"UI", uid), Made())


def test_with_a_prefix_any_study_uid_is_a_name_of_a_folder():
    assert StudyUidFolders("p").subfolder(with_raw(STUDY_UID, b"UI", b".."), Made()) == "p_.."


@pytest.mark.parametrize("sorting", [StudyUidFolders(), StudyUidFolders("p"), StudyFolders(by_patient)])
def test_an_instance_without_a_study_is_refused(sorting: StudyUidFolders | StudyFolders):
    with pytest.raises(Unsortable, match="absent or empty"):
        sorting.subfolder(received(StudyInstanceUID=None), Made())


@pytest.mark.parametrize("prefix, folder", [("p", "p_20260203_120405678"), ("", "20260203_120405678")])
def test_a_folder_for_a_study_has_the_time_of_its_first_instance(prefix: str, folder: str):
    sorting, made = StudyFolders(by_prefix(prefix), clock=ticking()), Made()

    found = [sorting.subfolder(received(StudyInstanceUID=A, number=number), made) for number in (1, 2)]

    assert found == [folder, folder]
    assert made.names == [folder]


def test_studies_that_come_by_turns_have_a_folder_each():
    sorting = StudyFolders(by_prefix("p"), clock=ticking())

    found = [sorting.subfolder(received(StudyInstanceUID=study), Made()) for study in (A, B, A, B)]

    assert found[0] == found[2] != found[1] == found[3]


def test_of_one_remembered_study_each_change_makes_a_new_folder():
    sorting = StudyFolders(by_prefix("p"), most_studies=1, clock=ticking())

    found = [sorting.subfolder(received(StudyInstanceUID=study), Made()) for study in (A, A, B, A)]

    assert found[0] == found[1]
    assert len(set(found)) == 3


def test_the_study_stored_to_longest_ago_is_forgotten_first():
    sorting = StudyFolders(by_prefix("p"), most_studies=2, clock=ticking())

    found = [sorting.subfolder(received(StudyInstanceUID=study), Made()) for study in (A, B, A, "7.8", A, B)]

    assert found[0] == found[2] == found[4]
    assert found[1] != found[5]


def test_a_study_that_goes_on_after_its_end_has_a_new_folder():
    sorting = StudyFolders(by_prefix("p"), clock=ticking())
    first = sorting.subfolder(received(StudyInstanceUID=A), Made())

    sorting.ended(A)
    second = sorting.subfolder(received(StudyInstanceUID=A), Made())

    assert first != second


def test_studies_of_the_same_millisecond_have_a_folder_each():
    sorting = StudyFolders(by_prefix("p"), clock=lambda: NOON)

    found = [sorting.subfolder(received(StudyInstanceUID=study), Made()) for study in (A, B)]

    assert found == ["p_20260203_120405678", "p_20260203_120405679"]


def test_a_folder_that_is_there_already_is_not_that_of_a_new_study():
    sorting = StudyFolders(by_prefix("p"), clock=lambda: NOON)

    assert sorting.subfolder(received(), Made("p_20260203_120405678")) == "p_20260203_120405679"


def test_a_study_is_refused_when_there_is_no_new_folder_to_be_had():
    with pytest.raises(Unsortable, match="taken"):
        StudyFolders(by_prefix("p")).subfolder(received(), lambda _: False)


def test_threads_that_store_one_study_at_once_share_its_folder():
    sorting, made, instance = StudyFolders(by_prefix("p")), Made(), received(StudyInstanceUID=A)

    with ThreadPoolExecutor(16) as threads:
        found = set(threads.map(lambda _: sorting.subfolder(instance, made), range(500)))

    assert len(found) == len(made.names) == 1


def latin(name: str) -> tuple[bytes, bytes]:
    return b"ISO_IR 100", name.encode("latin-1")


@pytest.mark.parametrize(
    "character_set, raw, stem",
    [
        pytest.param(*latin("Müller^J A"), "Mueller_J_A", id="Latin-1"),
        pytest.param(*latin("ÄÖÜäöüß"), "AeOeUeaeoeuess", id="umlauts"),
        pytest.param(*latin("ÀÁÂÃÅÆÇÈÉÊË"), "AAAAAACEEEE", id="accents"),
        pytest.param(*latin("ÐÑÒÓÔÕØÙÚÛÝÞ÷×"), "DNOOOOOUUUY___", id="more-accents"),
        pytest.param(*latin("ðñòóôõøùúûýþÿ"), "dnooooouuuy_y", id="small-accents"),
        pytest.param(*latin("«ªº²µ£»¼"), "________", id="signs"),
        pytest.param(b"", "Müller".encode("latin-1"), "Mueller", id="undeclared-Latin-1"),
        pytest.param(b"ISO_IR 192", "Müller^Ł".encode(), "Mueller_L", id="UTF-8"),
        pytest.param(b"ISO_IR 192", "Mu\u0308ller".encode(), "Mueller", id="UTF-8-decomposed"),
        pytest.param(b"ISO_IR 101", "Kovács^Đ".encode("iso8859_2"), "Kovacs_D", id="Latin-2"),
        pytest.param(b"ISO_IR 192", "山田^太郎".encode(), "_____", id="no-latin-letters"),
        pytest.param(b"ISO_IR 100", b"../../etc/x ", "______etc_x", id="path"),
        pytest.param(b"ISO_IR 100", b"a\0b`$(c) ", "a_b___c_", id="NUL-and-shell"),
        pytest.param(b"ISO_IR 100", b" A^B\\C^D", "_A_B", id="the-first-of-two"),
        pytest.param(b"ISO_IR 100", b"", "ANONYMOUS", id="empty"),
        pytest.param(b"ISO_IR 100", b"    ", "ANONYMOUS", id="blank"),
    ],
)
def test_a_patients_name_becomes_letters_and_digits_of_ascii(character_set: bytes, raw: bytes, stem: str):
    assert by_patient(with_raw(PATIENT_NAME, b"PN", raw, character_set)) == stem


def test_a_patient_without_a_name_is_anonymous():
    assert by_patient(received(PatientName=None)) == "ANONYMOUS"


def test_a_patients_name_that_is_too_long_for_a_folder_is_cut():
    sorting = StudyFolders(by_patient, clock=lambda: NOON)

    found = sorting.subfolder(with_raw(PATIENT_NAME, b"PN", b"\xfc" * 65_000, b"ISO_IR 100"), Made())

    assert len(found) < 255
    assert found.endswith("_20260203_120405678")


@pytest.mark.parametrize("prefix", ["../p", "/p", "a/../p", "a//p", "./p", "p\0"])
def test_a_prefix_that_leads_out_of_the_output_folder_is_refused(prefix: str):
    with pytest.raises(Misconfigured):
        StudyUidFolders(prefix)
    with pytest.raises(Misconfigured):
        by_prefix(prefix)
