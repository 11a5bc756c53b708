"""`kill -9` of the node that keeps house while both nodes take in a study: the other keeps house for all."""

import os
import signal
from collections.abc import Callable

import pytest
from sqlalchemy import text

from archive.database import transaction
from scripts.background import descendants
from tests.crash.senders import Sender, Senders, nothing_is_lost
from tests.wire.running import Archive
from tests.wire.two_nodes import Nodes

pytestmark = [pytest.mark.crash, pytest.mark.slow]

LEASE_SECONDS = 3
STUDY = 1
AT_LEAST = 10


@pytest.mark.parametrize("is_pooled", [False, True], ids=["direct", "through pgbouncer"])
def test_a_killed_node_loses_nothing_that_was_acknowledged_and_the_other_keeps_house(
    start_nodes: Callable[..., Nodes], is_pooled: bool
) -> None:
    nodes = start_nodes("--housekeeping-lease", str(LEASE_SECONDS), is_pooled=is_pooled)
    killed = nodes.elected()
    survivor, title = nodes.other(killed), nodes.one.title
    ours, theirs = (
        [Sender(node, title, number, STUDY) for number in numbers]
        for node, numbers in ((killed, (1, 2)), (survivor, (3, 4)))
    )

    with Senders([*ours, *theirs]) as senders:
        assert all(killed.becomes_true(lambda each=each: len(each.acknowledged) >= AT_LEAST) for each in senders.each)
        _stop_its_housekeeping(killed)
        before = [len(each.acknowledged) for each in ours]
        assert killed.becomes_true(
            lambda: all(len(each.acknowledged) > n for each, n in zip(ours, before, strict=True))
        )
        assert killed.becomes_true(lambda: _outcomes(killed, "open") > 0)
        killed.service.kill()

        assert survivor.becomes_true(lambda: nodes.keeper() is survivor)
        at_death = {uid for each in ours for uid in each.acknowledged}
        assert survivor.becomes_true(lambda: not _without_file(survivor, at_death))

        was_open = _outcomes(killed, "open")
        killed.service.restart()
        more = senders.acknowledged() + AT_LEAST
        assert killed.becomes_true(lambda: senders.acknowledged() > more)
        assert killed.becomes_true(lambda: _outcomes(killed, "lost") == was_open)

    assert survivor.becomes_true(lambda: _outcomes(killed, "open") == _outcomes(survivor, "open") == 0)
    nothing_is_lost(survivor, senders, at_least=4 * AT_LEAST)


def _stop_its_housekeeping(node: Archive) -> None:
    """So that it leaves small instances without a file, as if it were killed at once after their stores."""
    (keeper,) = set(descendants(node.service.process.pid)) - set(node.workers())
    os.kill(keeper, signal.SIGSTOP)


def _outcomes(node: Archive, outcome: str) -> int:
    """How many associations at a node ended so, or go on."""
    statement = text("SELECT count(*) FROM associations WHERE node LIKE :node AND outcome = :outcome")
    with transaction.read(node.database) as connection:
        return connection.execute(statement, {"node": f"%:{node.port}", "outcome": outcome}).scalar_one()


def _without_file(node: Archive, sop_instance_uids: set[str]) -> set[str]:
    with transaction.read(node.database) as connection:
        waiting = connection.scalars(text("SELECT sop_instance_uid FROM instances WHERE path IS NULL"))
        return sop_instance_uids.intersection(waiting)
