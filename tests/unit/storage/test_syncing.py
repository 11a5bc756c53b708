"""Syncs that go on beside their owner."""

import threading

import pytest

from archive.errors import DiskFailed
from archive.storage.syncing import MOST_THREADS, Syncer


def test_the_owner_goes_on_until_it_waits():
    may_end = threading.Event()
    sync = Syncer().start(lambda: (may_end.wait(10), None)[1])

    may_end.set()  # reached although the work has not ended

    sync.wait()


def test_an_error_reaches_whoever_waits_as_often_as_they_ask():
    def fail() -> None:
        raise DiskFailed

    sync = Syncer().start(fail)

    for _ in range(2):
        with pytest.raises(DiskFailed):
            sync.wait()


def test_more_than_there_are_threads_are_all_done():
    syncer, done = Syncer(), []

    syncs = [syncer.start(lambda number=number: done.append(number)) for number in range(4 * MOST_THREADS)]
    for sync in syncs:
        sync.wait()

    assert sorted(done) == list(range(4 * MOST_THREADS))
