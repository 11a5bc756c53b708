"""`kill -9` at random moments while several senders store: what was acknowledged is there, and nothing is wrong.

Each test takes about ten seconds on a quiet machine.
"""

import os
import random
import signal
import threading
from collections.abc import Callable

import pytest

from scripts.background import descendants, is_running
from tests.crash.senders import Sender, Senders, nothing_is_lost
from tests.wire.running import Archive

pytestmark = [pytest.mark.crash, pytest.mark.slow]

Start = Callable[..., Archive]

ROUNDS = 10
SENDERS = 3


def test_killed_workers_lose_nothing_that_was_acknowledged(start_own_archive: Start) -> None:
    """The oldest worker each time: one that dies within two seconds, again and again, makes the service give up."""
    archive = start_own_archive(workers=4)
    oldest, moments, pause = list(archive.workers()), random.Random(), threading.Event()
    pause.wait(2.0)
    with _senders(archive) as senders:
        for _ in range(ROUNDS):
            before = senders.acknowledged()
            assert archive.becomes_true(lambda before=before: senders.acknowledged() > before)
            pause.wait(0.5 + moments.uniform(0, 0.15))
            victim = oldest.pop(0)
            os.kill(victim, signal.SIGKILL)
            assert archive.becomes_true(lambda victim=victim: _are_four_without(victim, archive.workers()))
            oldest += [pid for pid in archive.workers() if pid not in oldest]

    assert archive.service.is_running()
    nothing_is_lost(archive, senders, at_least=ROUNDS)


def _senders(archive: Archive) -> Senders:
    return Senders([Sender(archive, archive.title, number, number) for number in range(1, SENDERS + 1)])


def _are_four_without(victim: int, workers: list[int]) -> bool:
    return len(workers) == 4 and victim not in workers


def test_a_killed_service_loses_nothing_that_was_acknowledged(start_own_archive: Start) -> None:
    archive = start_own_archive(workers=2)
    moments, pause = random.Random(), threading.Event()
    with _senders(archive) as senders:
        for _ in range(ROUNDS):
            before = senders.acknowledged()
            assert archive.becomes_true(lambda before=before: senders.acknowledged() > before)
            pause.wait(moments.uniform(0, 0.2))
            processes = descendants(archive.service.process.pid)
            archive.service.kill()
            assert not any(map(is_running, processes))
            archive.service.restart()

    nothing_is_lost(archive, senders, at_least=ROUNDS)
