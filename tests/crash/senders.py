"""Senders who go on while what they send to is killed, and what must be true of it in the end."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydicom.uid import ExplicitVRLittleEndian

from tests.fix_instances import encoded, instance
from tests.wire.raw_messages import EXPLICIT, SECONDARY_CAPTURE, Ended, Proposed, Rejected
from tests.wire.raw_scu import RawScu
from tests.wire.running import Archive, Title

_PLACEHOLDER = "2.25." + "9" * 30


@dataclass
class Sender:
    """Stores one instance after the other, on a new association whenever the old one is gone.

    Every other one is so large that it has a file from the beginning.
    """

    archive: Archive
    title: Title
    number: int
    study_number: int
    acknowledged: dict[str, bytes] = field(default_factory=dict)
    sent: dict[str, bytes] = field(default_factory=dict)  # the acknowledged ones, and those nobody answered
    refused: list[str] = field(default_factory=list)
    may_send: threading.Event = field(default_factory=threading.Event)
    is_done: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        templates = [
            instance(
                patient=self.study_number,
                study=self.study_number,
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

    def __init__(self, each: Sequence[Sender]) -> None:
        self.each = each
        self._threads = [threading.Thread(target=sender.run) for sender in each]

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


def nothing_is_lost(archive: Archive, senders: Senders, *, at_least: int) -> None:
    """Row, file and bytes of each acknowledged instance; counters; and leftovers that only `reconcile` knows."""
    title, studies = senders.each[0].title, {sender.study for sender in senders.each}
    held: dict[str, bytes] = {}
    for study in studies:
        held |= archive.fetch(study, Proposed(SECONDARY_CAPTURE, (EXPLICIT,)), title=title)
    acknowledged = {uid: content for sender in senders.each for uid, content in sender.acknowledged.items()}
    sent = {uid: content for sender in senders.each for uid, content in sender.sent.items()}
    assert [each for sender in senders.each for each in sender.refused] == []
    assert len(acknowledged) >= at_least
    assert acknowledged.keys() <= held.keys() <= sent.keys()
    assert all(sent[uid] == content for uid, content in held.items())
    assert archive.counters(title.area)[:3] == (len(studies), len(studies), len(held))
    assert archive.rows(title.area) == len(held)
    assert archive.becomes_true(lambda: archive.associations() == 0)
    _leftovers_are_found(archive, title.area, len(held))


def _leftovers_are_found(archive: Archive, area: str, held: int) -> None:
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
