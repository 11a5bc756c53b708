"""The server cuts its connections in the middle of transactions: they are done again, and senders do not notice."""

from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import make_url

from scripts.postgresql_cluster import Cluster
from tests.crash.senders import Sender, Senders, nothing_is_lost
from tests.wire.two_nodes import Nodes

pytestmark = [pytest.mark.crash, pytest.mark.slow]

CUTS = 10
_CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
STUDY = 1


@pytest.mark.parametrize("is_pooled", [False, True], ids=["direct", "through pgbouncer"])
def test_senders_do_not_notice_that_connections_to_the_server_are_cut(
    start_nodes: Callable[..., Nodes], cluster: Cluster, is_pooled: bool
) -> None:
    nodes = start_nodes(is_pooled=is_pooled)
    name = make_url(nodes.one.service.url).database
    each = [Sender(node, nodes.one.title, n, STUDY) for n, node in enumerate((nodes.one, nodes.one, nodes.two), 1)]

    with Senders(each) as senders, psycopg.connect(cluster.conninfo(), autocommit=True) as connection:
        for _ in range(CUTS):
            enough = senders.acknowledged() + len(each)
            assert nodes.one.becomes_true(lambda enough=enough: senders.acknowledged() > enough)
            connection.execute(_CUT, [name])

    nothing_is_lost(nodes.one, senders, at_least=CUTS)
