"""A private pgbouncer in front of the private cluster: `start_pooler(url)` pools the connections to one database.

It runs the file of docs/how-to/several-nodes.md; only the database, the address and the paths are those of the test.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import make_url

from scripts.background import Background, free_port
from scripts.postgresql_cluster import Cluster, owner

PAGE = Path(__file__).parents[1] / "docs/how-to/several-nodes.md"
PROGRAM = Path("/usr/sbin/pgbouncer")
# Fewer than one service opens by itself.
_SERVER_CONNECTIONS = 2
_PASSWORD = "letters1and2digits"


class Pooler:
    """A pgbouncer, which may be killed and started again."""

    def __init__(self, cluster: Cluster, database: str, server_connections: int) -> None:
        """Write its files into a folder of its own, which the cluster's account may read."""
        self._port = free_port()
        self.address = f"postgresql://{cluster.user}:{_PASSWORD}@127.0.0.1:{self._port}/{database}"
        """The database's address through it, as an administrator writes it who has read nothing."""
        self._folder = cluster.folder / f"pooler-{uuid4().hex}"
        self._folder.mkdir()
        with (self._folder / "pgbouncer.ini").open("w") as file:
            _configuration(self._folder, cluster, database, self._port, server_connections).write(file)
        (self._folder / "userlist.txt").write_text(f'"{cluster.user}" "{_PASSWORD}"\n')
        account = owner()
        if account is not None:
            for path in (self._folder, *self._folder.iterdir()):
                shutil.chown(path, account)
        as_owner = () if account is None else ("-u", account)
        self._command = (PROGRAM, "-q", *as_owner, self._folder / "pgbouncer.ini")
        self.start()

    @property
    def url(self) -> str:
        """The address that the archive is to be given."""
        return f"{self.address}?prepared_statements=off"

    def start(self) -> None:
        """Start, and wait until it listens."""
        self._program = Background(self._command, self._folder / "output")
        self._program.wait_listening(self._port)

    def kill(self) -> None:
        """`kill -9`; its connections to clients and to the server are gone."""
        self._program.kill_group()
        (self._folder / "pgbouncer.pid").unlink()

    def close(self) -> str:
        """Stop it and leave nothing behind; returns what it wrote."""
        self._program.stop()
        output = self._program.output()
        shutil.rmtree(self._folder)
        return output


def documented() -> ConfigParser:
    """pgbouncer.ini as the documents show it."""
    (text,) = re.findall(r"^```cfg\n(\[databases\]\n.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    parser = ConfigParser(delimiters=("=",), interpolation=None)
    parser.read_string(text)
    return parser


def _configuration(folder: Path, cluster: Cluster, database: str, port: int, server_connections: int) -> ConfigParser:
    found = documented()
    found["databases"] = {database: f"host={cluster.folder} port={cluster.port} dbname={database}"}
    found["pgbouncer"].update(
        {
            "listen_port": str(port),
            "auth_file": str(folder / "userlist.txt"),
            "logfile": str(folder / "pgbouncer.log"),
            "pidfile": str(folder / "pgbouncer.pid"),
            "unix_socket_dir": str(folder),
            "default_pool_size": str(server_connections),
        }
    )
    return found


@pytest.fixture
def start_pooler(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Callable[..., Pooler]]:
    """`start_pooler(url, server_connections=1)` starts pgbouncer in front of the database at `url`."""
    if not PROGRAM.exists():
        pytest.fail(f"{PROGRAM} is missing; on Debian and Ubuntu: apt-get install pgbouncer", pytrace=False)
    started: list[Pooler] = []

    def start(url: str, *, server_connections: int = _SERVER_CONNECTIONS) -> Pooler:
        started.append(Pooler(cluster, make_url(url).database or "", server_connections))
        return started[-1]

    yield start
    for pooler in started:
        request.node.add_report_section("teardown", "log of pgbouncer", pooler.close()[-5000:])
