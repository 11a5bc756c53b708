"""open_studies.py: when a study has ended, by what comes and by the clock."""

from archive.lifecycle.events.open_studies import OpenStudies, Order, Study

A, B, C = (Study(f"1.2.{number}", f"folder {number}") for number in (1, 2, 3))
QUIET = 10.0  # seconds


class Reception:
    """Associations by name that store, and a clock that is told."""

    def __init__(self, order: Order = "study", quiet: float | None = None, **limits: int) -> None:
        self.studies = OpenStudies(order, quiet, remembers_files=True, **limits)
        self.now = 0.0
        self.files = 0

    def store(self, association: str, study: Study, name: str | None = None, modality: str = "CT") -> list[Study]:
        """A whole store; the studies that ended by it."""
        self.files += 1
        self.studies.began(association, self.now)
        sender = {"#a": association}
        ended = self.studies.kept(association, study, name or f"{self.files}", modality, sender, self.now)
        self.studies.over(association, self.now)
        return [each.study for each in ended]

    def leave(self, association: str) -> list[Study]:
        """An association ends; the studies that ended by it."""
        return [each.study for each in self.studies.left(association, self.now)]

    def later(self, seconds: float) -> list[Study]:
        """The studies that have ended by quiet then."""
        self.now += seconds
        return [each.study for each in self.studies.due(self.now)]


# By what comes


def test_a_study_ends_when_its_association_goes_on_to_another_one() -> None:
    reception = Reception()

    assert [reception.store("x", study) for study in (A, A, B, C)] == [[], [], [A], [B]]


def test_studies_of_two_associations_leave_each_other_alone() -> None:
    reception = Reception()

    assert [reception.store(*each) for each in (("x", A), ("y", B), ("x", A), ("y", B))] == [[], [], [], []]
    assert reception.store("x", C) == [A]


def test_a_study_goes_on_in_another_association() -> None:
    reception = Reception()
    for association in ("x", "y"):
        assert reception.store(association, A) == []
        assert reception.leave(association) == []

    assert reception.store("z", B) == [A]


def test_a_study_of_two_associations_ends_when_none_of_them_is_at_it() -> None:
    reception = Reception()
    reception.store("x", A)
    reception.store("y", A)

    assert reception.store("x", B) == []
    assert reception.store("y", B) == [A]


def test_a_study_ends_with_its_association_if_another_one_has_come_since() -> None:
    reception = Reception()
    reception.store("x", A)
    reception.store("y", B)

    assert reception.leave("x") == [A]


def test_a_study_whose_association_has_ended_is_open_until_another_one_comes() -> None:
    reception = Reception()
    reception.store("y", B)
    reception.store("x", A)

    assert reception.leave("x") == []
    assert reception.store("y", B) == [A]


def test_without_a_time_of_quiet_nothing_ends_by_the_clock() -> None:
    reception = Reception()
    reception.store("x", A)

    assert (reception.later(1e9), reception.studies.next_due()) == ([], None)


def test_a_study_that_goes_on_in_another_folder_is_another_one() -> None:
    reception = Reception()
    reception.store("x", A)

    assert reception.store("x", Study(A.study_instance_uid, "elsewhere")) == [A]


# By quiet


def test_a_study_ends_when_nothing_of_it_has_come_for_so_long() -> None:
    reception = Reception(quiet=QUIET)
    reception.store("x", A)
    assert reception.later(QUIET - 1) == []
    reception.store("x", A)

    assert reception.studies.next_due() == reception.now + QUIET
    assert reception.later(QUIET - 1) == []
    assert reception.later(1) == [A]
    assert reception.studies.next_due() is None


def test_studies_that_take_turns_end_once_each() -> None:
    reception = Reception(quiet=QUIET)
    for study in (A, B, A, B, A):
        assert reception.store("x", study) == []
        assert reception.later(3) == []

    assert [reception.later(seconds) for seconds in (3, 1, 3)] == [[], [B], [A]]


def test_each_study_has_a_quiet_of_its_own() -> None:
    reception = Reception(quiet=QUIET)
    reception.store("x", A)
    reception.later(4)
    reception.store("y", B)

    assert reception.later(6) == [A]
    assert reception.later(4) == [B]


def test_what_is_coming_may_belong_to_the_study_before_it() -> None:
    reception = Reception(quiet=QUIET)
    reception.store("x", A)
    reception.store("y", B)
    reception.studies.began("x", reception.now)

    assert reception.later(100 * QUIET) == [B]
    assert reception.studies.next_due() is None
    reception.studies.over("x", reception.now)  # whatever became of it
    assert reception.later(QUIET - 1) == []
    assert reception.later(1) == [A]


def test_who_goes_in_the_middle_of_an_instance_holds_no_study_open() -> None:
    reception = Reception(quiet=QUIET)
    reception.store("x", A)
    reception.studies.began("x", reception.now)
    reception.studies.left("x", reception.now)

    assert reception.later(QUIET) == [A]


def test_the_end_of_an_association_ends_no_study_and_puts_none_off() -> None:
    reception = Reception(quiet=QUIET)
    reception.store("x", A)
    assert reception.later(QUIET / 2) == []
    reception.studies.left("x", reception.now)

    assert reception.later(QUIET / 2) == [A]


def test_an_echo_puts_no_study_off() -> None:
    reception = Reception(quiet=QUIET)
    reception.store("x", A)
    reception.later(QUIET / 2)
    reception.studies.heard(reception.now)

    assert reception.later(QUIET / 2) == [A]


def test_with_a_quiet_of_nothing_a_study_ends_with_each_instance() -> None:
    reception = Reception(quiet=0)
    reception.store("x", A)

    assert reception.later(0) == [A]


# As storescp


def test_globally_whatever_comes_ends_every_other_study() -> None:
    reception = Reception("global")

    assert [reception.store(*each) for each in (("x", A), ("y", B), ("x", A))] == [[], [A], [B]]


def test_globally_everything_that_comes_breaks_the_quiet() -> None:
    reception = Reception("global", QUIET)
    reception.store("x", A)
    for happens in (
        lambda: reception.studies.heard(reception.now),
        lambda: reception.studies.began("y", reception.now),
        lambda: reception.studies.over("y", reception.now),
        lambda: reception.studies.left("x", reception.now),
    ):
        assert reception.later(QUIET - 1) == []
        happens()

    assert reception.later(QUIET) == [A]


def test_globally_nothing_ends_while_anything_is_coming() -> None:
    reception = Reception("global", QUIET)
    reception.store("x", A)
    reception.studies.began("y", reception.now)

    assert reception.later(100 * QUIET) == []
    assert reception.studies.next_due() is None


# What is known of a study


def test_files_are_remembered_once_in_the_order_in_which_they_came() -> None:
    reception = Reception()
    for name, modality in (("b", "CT"), ("a", "MR"), ("b", "CT")):
        reception.store("x", A, name, modality)
    reception.store("y", A, "c", "SRe")
    (held,) = reception.studies.all()

    assert list(held.modalities.items()) == [("b", "CT"), ("a", "MR"), ("c", "SRe")]
    assert held.sender == {"#a": "y"}


def test_files_nobody_asks_for_are_not_remembered() -> None:
    studies = OpenStudies()
    studies.kept("x", A, "name", "CT", {}, 0)
    (held,) = studies.all()

    assert held.modalities == {}


def test_the_study_that_is_open_for_longest_ends_when_there_are_too_many() -> None:
    reception = Reception(quiet=QUIET, most_studies=2)

    assert [reception.store("x", study) for study in (A, B, A, C)] == [[], [], [], [B]]


def test_a_study_ends_when_too_many_files_wait_for_its_end() -> None:
    reception = Reception(quiet=QUIET, most_files=3)

    assert [reception.store("x", study) for study in (A, B, A, A, A, A)] == [[], [], [], [B], [A], []]
