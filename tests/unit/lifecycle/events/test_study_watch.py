"""study_watch.py: the end of a study is told once, by whoever stored or by a thread that waits."""

import queue

import pytest

from archive.lifecycle.events.open_studies import OpenStudies, OpenStudy, Study
from archive.lifecycle.events.study_watch import StudyWatch

A, B = Study("1.2.1", "a"), Study("1.2.2", "b")
SECONDS = 60.0
FOREVER = 1e6


def store(watch: StudyWatch, association: str, study: Study) -> list[Study]:
    watch.began(association)
    ended = watch.kept(association, study, "name", "CT", {})
    watch.over(association)
    return [each.study for each in ended]


def test_who_stores_is_told_what_ended_by_it() -> None:
    watch = StudyWatch(OpenStudies(), lambda study: pytest.fail(f"{study} was told of elsewhere"))

    assert [store(watch, "x", study) for study in (A, A, B)] == [[], [], [A]]


def test_a_thread_tells_of_studies_of_which_nothing_comes() -> None:
    told: queue.Queue[OpenStudy] = queue.Queue()
    watch = StudyWatch(OpenStudies("study", 0.01), told.put)
    watch.start()
    for study in (A, B):
        store(watch, "x", study)

        assert told.get(timeout=SECONDS).study == study
    assert watch.stop() == []
    assert told.empty()


def test_a_defect_at_the_end_of_a_study_spares_the_next_one(caplog: pytest.LogCaptureFixture) -> None:
    told: queue.Queue[OpenStudy] = queue.Queue()

    def end(study: OpenStudy) -> None:
        told.put(study)
        raise ValueError("a defect")

    watch = StudyWatch(OpenStudies("study", 0), end)
    watch.start()
    for study in (A, B):
        store(watch, "x", study)
        assert told.get(timeout=SECONDS).study == study
    watch.stop()

    assert [message.partition(" met")[0] for message in caplog.messages] == [
        f"the end of study {study.study_instance_uid}" for study in (A, B)
    ]


def test_when_it_is_stopped_what_is_open_has_not_ended() -> None:
    watch = StudyWatch(OpenStudies("study", FOREVER), lambda study: pytest.fail(f"{study} ended"))
    watch.start()
    store(watch, "x", A)
    store(watch, "y", B)
    assert watch.left("y") == []

    assert [each.study for each in watch.stop()] == [A, B]
