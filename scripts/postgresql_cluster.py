"""A private PostgreSQL cluster for one run of the tests or benchmarks.

Debian's binaries, a folder of its own, a Unix socket inside it and no TCP port: nothing that is installed or running
on the machine is touched, and two runs never meet. PostgreSQL refuses to run as root, so root hands the cluster to an
unprivileged account. A guard process holds the read end of a pipe to us: however we end (kill -9 too), the pipe closes,
and the guard stops the server and removes the folder.
"""

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict
from urllib.parse import quote

_INSTALLED = Path("/usr/lib/postgresql")  # Debian: /usr/lib/postgresql/<major version>/bin
_ACCOUNTS = ("postgres", "nobody")  # who runs the cluster when we are root, the first that exists
_PORT = 5432  # names the socket file only; every cluster has its own socket folder
_SUPERUSER = "archive"
_STOP_SECONDS = 30.0

# Waits for the end of its standard input, then leaves nothing behind. Runs as the owner of the folder.
_GUARD = """
read _ || true
[ ! -f "$1/data/postmaster.pid" ] || "$2/pg_ctl" --pgdata "$1/data" --mode fast --wait --silent stop || true
rm -rf -- "$1"
"""


class _Account(TypedDict, total=False):
    user: int
    group: int
    extra_groups: tuple[int, ...]


class CannotRunPostgresql(RuntimeError):
    """PostgreSQL is not installed, or its cluster does not start."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster; superuser `archive` without a password, for those who may enter `folder`."""

    folder: Path

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of one database."""
        return f"postgresql+psycopg://{_SUPERUSER}@:{_PORT}/{database}?host={quote(str(self.folder), safe='/')}"

    def conninfo(self, database: str = "postgres") -> str:
        """The same as libpq spells it."""
        return f"host={self.folder} port={_PORT} user={_SUPERUSER} dbname={database}"

    @property
    def port(self) -> int:
        """The port number that names the socket file."""
        return _PORT

    @property
    def user(self) -> str:
        """The superuser's name."""
        return _SUPERUSER


def binaries() -> Path:
    """The folder of initdb and pg_ctl of the newest installed version."""
    found = sorted(_INSTALLED.glob("*/bin/initdb"), key=_version)
    if not found:
        raise CannotRunPostgresql("PostgreSQL is not installed; on Debian and Ubuntu: apt-get install postgresql")
    return found[-1].parent


def _version(initdb: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", initdb.parts[-3]))


def owner() -> str | None:
    """The account that runs the cluster; None is our own."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    for account in _ACCOUNTS:
        if account in known:
            return account
    raise CannotRunPostgresql(f"none of the accounts {', '.join(_ACCOUNTS)} exists to run PostgreSQL for root")


class ClusterFolder:
    """The life of one cluster's folder: made here, filled by `start`, emptied by the guard when this is closed."""

    def __init__(self, parent: Path | None = None) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="archive-postgresql-", dir=parent))
        account = owner()
        if account is not None:
            shutil.chown(self.path, account)
        installed = sorted(_INSTALLED.glob("*/bin"), key=lambda folder: _version(folder / "initdb"))
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", str(self.path), str(installed[-1]) if installed else ""],
            stdin=subprocess.PIPE,
            cwd="/",
            start_new_session=True,  # Ctrl-C is for us; the guard follows
            **_as(account),
        )

    def close(self) -> None:
        """Stop the cluster, if one was started, and remove the folder."""
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        self._guard.wait(_STOP_SECONDS)


def start(folder: Path, *, is_durable: bool = False, settings: dict[str, str] | None = None) -> Cluster:
    """Make and start a cluster in `folder`, which belongs to `owner()`; without `is_durable` nothing is synced."""
    account, programs, data = owner(), binaries(), folder / "data"
    log = folder / "postgresql.log"
    _run(
        [
            programs / "initdb",
            f"--pgdata={data}",
            f"--username={_SUPERUSER}",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
            "--no-instructions",
        ],
        account,
    )
    chosen = {"listen_addresses": "''", "unix_socket_directories": f"'{folder}'", "port": str(_PORT)}
    chosen |= {"max_connections": "200"} | (settings or {})
    if not is_durable:
        chosen |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    with (data / "postgresql.conf").open("a") as configuration:
        configuration.writelines(f"{name} = {value}\n" for name, value in chosen.items())
    try:
        _run([programs / "pg_ctl", f"--pgdata={data}", f"--log={log}", "--wait", "--silent", "start"], account)
    except CannotRunPostgresql as error:
        said = log.read_text(errors="replace") if log.exists() else ""
        raise CannotRunPostgresql(f"{error}\n{said}") from error
    return Cluster(folder)


def _run(command: list[Path | str], account: str | None) -> None:
    # pg_ctl leaves the server running with our standard streams: a pipe would never end, so a file takes the output.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            check=False,
            **_as(account),
        )
        output.seek(0)
        if done.returncode:
            said = output.read().decode(errors="replace")
            raise CannotRunPostgresql(f"{command[0]} ended with {done.returncode}:\n{said}")


def _as(account: str | None) -> _Account:
    """The arguments by which subprocess runs a program as `account`."""
    if account is None:
        return {}
    entry = pwd.getpwnam(account)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": ()}
