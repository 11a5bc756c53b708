"""`kill -9` at random moments while several senders store: what was acknowledged is there, and nothing is wrong.

Each test takes about ten seconds on a quiet machine.
"""

import os
import random
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from pydicom.uid import ExplicitVRLittleEndian

from scripts.background import descendants, is_running
from tests.fix_instances import encoded, instance
from tests.wire.raw_messages import EXPLICIT, SECONDARY_CAPTURE, Ended, Proposed, Rejected
from tests.wire.raw_scu import RawScu
from tests.wire.running import Archive, Title

pytestmark = [pytest.mark.crash, pytest.mark.slow]

Start = Callable[..., Archive]

ROUNDS = 10
SENDERS = 3
_PLACEHOLDER = "2.25." + "9" * 30


@dataclass
class Sender:
    """Stores one instance after the other, on a new association whenever the old one is gone.

    Every other one is so large that it has a file from the beginning.
    """

    archive: Archive
    title: Title
    number: int
    acknowledged: dict[str, bytes] = field(default_factory=dict)
    sent: dict[str, bytes] = field(default_factory=dict)  # the acknowledged ones, and those nobody answered
    refused: list[str] = field(default_factory=list)
    may_send: threading.Event = field(default_factory=threading.Event)
    is_done: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        templates = [
            instance(
                patient=self.number,
                study=self.number,
                SOPInstanceUID=_PLACEHOLDER,
                side_pixels=side_pixels,
                transfer_syntax=ExplicitVRLittleEndian,
            )
            for side_pixels in (32, 192)
        ]
        self.study = str(templates[0].StudyInstanceUID)
        self._templates = [encoded(template) for template in templates]
        self.may_send.set()

    def run(self) -> None:
        while not self.is_done.is_set():
            self.may_send.wait()
            try:
                with RawScu(self.archive.port) as scu:
                    scu.associate([Proposed(SECONDARY_CAPTURE, (EXPLICIT,))], called=self.title.name)
                    while not self.is_done.is_set() and self.may_send.is_set():
                        self._store(scu)
            except (Ended, Rejected, OSError):
                self.is_done.wait(0.005)  # killed under us; the next attempt will tell

    def _store(self, scu: RawScu) -> None:
        uid = f"2.25.1{self.number}{len(self.sent):028}"
        content = self._templates[len(self.sent) % 2].replace(_PLACEHOLDER.encode(), uid.encode())
        self.sent[uid] = content
        response = scu.store(SECONDARY_CAPTURE, uid, content)
        if response.status == 0:
            self.acknowledged[uid] = content
        else:
            self.refused.append(f"{response.status:04X} {response.comment}")


class Senders:
    """Several of them at work."""

    def __init__(self, archive: Archive) -> None:
        self.each = [Sender(archive, archive.title, number) for number in range(1, SENDERS + 1)]
        self._threads = [threading.Thread(target=sender.run) for sender in self.each]

    def __enter__(self) -> "Senders":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for sender in self.each:
            sender.is_done.set()
            sender.may_send.set()
        for thread in self._threads:
            thread.join()

    def acknowledged(self) -> int:
        return sum(len(sender.acknowledged) for sender in self.each)


def test_killed_workers_lose_nothing_that_was_acknowledged(start_own_archive: Start) -> None:
    """The oldest worker each time: one that dies within two seconds, again and again, makes the service give up."""
    archive = start_own_archive(workers=4)
    oldest, moments, pause = list(archive.workers()), random.Random(), threading.Event()
    pause.wait(2.0)
    with Senders(archive) as senders:
        for _ in range(ROUNDS):
            before = senders.acknowledged()
            assert archive.becomes_true(lambda before=before: senders.acknowledged() > before)
            pause.wait(0.5 + moments.uniform(0, 0.15))
            victim = oldest.pop(0)
            os.kill(victim, signal.SIGKILL)
            assert archive.becomes_true(lambda victim=victim: _are_four_without(victim, archive.workers()))
            oldest += [pid for pid in archive.workers() if pid not in oldest]

    assert archive.service.is_running()
    _nothing_is_lost(archive, senders)


def _are_four_without(victim: int, workers: list[int]) -> bool:
    return len(workers) == 4 and victim not in workers


def test_a_killed_service_loses_nothing_that_was_acknowledged(start_own_archive: Start) -> None:
    archive = start_own_archive(workers=2)
    moments, pause = random.Random(), threading.Event()
    with Senders(archive) as senders:
        for _ in range(ROUNDS):
            before = senders.acknowledged()
            assert archive.becomes_true(lambda before=before: senders.acknowledged() > before)
            pause.wait(moments.uniform(0, 0.2))
            processes = descendants(archive.service.process.pid)
            archive.service.kill()
            assert not any(map(is_running, processes))
            archive.service.restart()

    _nothing_is_lost(archive, senders)


def _nothing_is_lost(archive: Archive, senders: Senders) -> None:
    """Row, file and bytes of each acknowledged instance; counters; and leftovers that only `reconcile` knows."""
    held: dict[str, bytes] = {}
    for sender in senders.each:
        assert sender.refused == []
        held |= archive.fetch(sender.study, Proposed(SECONDARY_CAPTURE, (EXPLICIT,)))
    acknowledged = {uid: content for sender in senders.each for uid, content in sender.acknowledged.items()}
    sent = {uid: content for sender in senders.each for uid, content in sender.sent.items()}
    assert len(acknowledged) >= ROUNDS
    assert acknowledged.keys() <= held.keys() <= sent.keys()
    assert all(sent[uid] == content for uid, content in held.items())
    assert archive.counters(archive.title.area)[:3] == (SENDERS, SENDERS, len(held))
    assert archive.rows(archive.title.area) == len(held)
    assert archive.becomes_true(lambda: archive.associations() == 0)
    _leftovers_are_found(archive, len(held))


def _leftovers_are_found(archive: Archive, held: int) -> None:
    area = archive.title.area
    archive.service.run("check", "verify")
    leftovers = len(archive.files(area)) - held
    assert leftovers >= 0
    options = ("--area", area, "--older-than", "0")
    found = archive.service.run("check", "reconcile", *options, code=1 if leftovers else 0)
    assert found.count(" without a row") >= 1
    assert f"{leftovers} file{'' if leftovers == 1 else 's'} without a row" in found

    archive.service.run("check", "reconcile", *options, "--delete")

    assert len(archive.files(area)) == held
    archive.service.run("check", "reconcile", *options)
    archive.service.run("check", "verify")
    archive.echo()
