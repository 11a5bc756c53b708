"""DCMTK's programs as clients: what each row runs, timed from the start of the process to its end."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.corpus import Corpora, Files
from benchmarks.peers import DESTINATION, Running
from scripts.background import Background, free_port

NO_DELAY = {"TCP_NODELAY": "1"}  # DCMTK reads it: no Nagle algorithm
_FIND_REPEATS = 5  # queries in one association, so that the start of the program counts for little
_FEW_FIND_REPEATS = 20
POINT_FIND_REPEATS = 100
_SECONDS = 900.0


class ClientFailed(RuntimeError):
    """A client did not do what it was to do; a figure would mean nothing."""


def run(commands: Sequence[Sequence[str]], environment: Mapping[str, str]) -> tuple[float, str]:
    """Run the commands side by side; seconds until the last has ended, and all they wrote."""
    began = time.perf_counter()
    running = [
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        )
        for command in commands
    ]
    with ThreadPoolExecutor(len(running)) as readers:  # a full pipe would stop a client
        said = list(readers.map(lambda process: process.communicate(timeout=_SECONDS)[0].decode(), running))
    seconds = time.perf_counter() - began
    for command, process, output in zip(commands, running, said, strict=True):
        if process.returncode:
            raise ClientFailed(f"{' '.join(command)} ended with {process.returncode}\n{output}")
    return seconds, "".join(said)


def _command(program: str, running: Running, *options: str) -> list[str]:
    return [f"/usr/bin/{program}", "-aec", running.title, *options, "127.0.0.1", str(running.port)]


def store(running: Running, folders: Sequence[Path], environment: Mapping[str, str]) -> float:
    """Seconds to store all objects below `folders`: a storescu and an association for each folder, side by side.

    Quiet, for a verbose storescu writes a dot per PDU, and goes on after a refused object: ask what was kept.
    """
    options = ("-q", "--no-halt", "+sd", "+r")
    commands = [[*_command("storescu", running, *options), str(folder)] for folder in folders]
    return run(commands, environment)[0]


def take_in(running: Running, folder: Path, environment: Mapping[str, str]) -> float:
    """Seconds until all objects of a folder are in the archive: by its own command, or, where it has none, storescu."""
    if not running.importer:
        return store(running, [folder], environment)
    return run([[*running.importer, str(folder)]], environment)[0]


def store_one_by_one(running: Running, files: Files, environment: Mapping[str, str]) -> float:
    """Seconds per object, where each has a process and an association of its own, which proposes 120 contexts or so."""
    paths = sorted(files.folder.rglob("*.dcm"))
    commands = [[*_command("storescu", running, "-q"), str(path)] for path in paths]
    return sum(run([command], environment)[0] for command in commands) / len(paths)


def echo(running: Running, environment: Mapping[str, str]) -> None:
    """One C-ECHO."""
    run([_command("echoscu", running, "-q")], environment)


def count_responses(running: Running, *keys: str) -> int:
    """How many responses a C-FIND (Study Root) has; untimed, to make sure that a figure means what it says."""
    _, said = run([_command("findscu", running, "-v", "-S", *_keys(keys))], NO_DELAY)
    return said.count("(Pending)")


def count_objects(running: Running, files: Files) -> int:
    """How many of `files` the archive finds."""
    return sum(
        count_responses(
            running,
            "QueryRetrieveLevel=IMAGE",
            f"StudyInstanceUID={study_uid}",
            f"SeriesInstanceUID={series_uid}",
            "SOPInstanceUID",
        )
        for study_uid, series_uid in sorted(files.series)
    )


STUDIES = (
    "QueryRetrieveLevel=STUDY",
    "StudyInstanceUID",
    "PatientName",
    "PatientID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyID",
)


def find_studies(running: Running, environment: Mapping[str, str]) -> float:
    """Seconds to list all studies."""
    return _find(running, STUDIES, _FIND_REPEATS, environment)


def find_patient(running: Running, corpora: Corpora, environment: Mapping[str, str]) -> float:
    """Seconds to list the study of one PatientID."""
    return _find(running, patient_keys(corpora), POINT_FIND_REPEATS, environment)


def find(running: Running, keys: Sequence[str], environment: Mapping[str, str]) -> float:
    """Seconds for one query of these keys, of several over one association."""
    return _find(running, keys, _FEW_FIND_REPEATS, environment)


def wild_card_keys() -> list[str]:
    """The keys that ask for ten studies by the beginning of PatientName."""
    return [*(key for key in STUDIES if key != "PatientName"), "PatientName=Synthetic^Patient 101*"]


def march_keys() -> list[str]:
    """The keys that ask for the studies of one month, one in twelve."""
    return [*(key for key in STUDIES if key != "StudyDate"), "StudyDate=20260301-20260331"]


def instance_keys(files: Files) -> list[str]:
    """The keys that ask for all instances of the one series in `files`."""
    ((study_uid, series_uid),) = files.series
    above = (f"StudyInstanceUID={study_uid}", f"SeriesInstanceUID={series_uid}")
    return ["QueryRetrieveLevel=IMAGE", *above, "SOPInstanceUID", "InstanceNumber"]


def patient_keys(corpora: Corpora) -> list[str]:
    """The keys that ask for the study of one patient."""
    return [*(key for key in STUDIES if key != "PatientID"), f"PatientID={corpora.patient_id}"]


def _find(running: Running, keys: Sequence[str], repeats: int, environment: Mapping[str, str]) -> float:
    """Seconds for one of `repeats` equal queries over one association."""
    command = _command("findscu", running, "-q", "-S", "--repeat", str(repeats), *_keys(keys))
    return run([command], environment)[0] / repeats


def get(running: Running, corpora: Corpora, environment: Mapping[str, str]) -> float:
    """Seconds to fetch the large study by C-GET; getscu drops it."""
    return run([_command("getscu", running, "-q", "--ignore", "-S", *_large_study(corpora))], environment)[0]


def move(running: Running, corpora: Corpora, environment: Mapping[str, str]) -> float:
    """Seconds to have the large study sent to the destination, which drops it."""
    command = _command("movescu", running, "-q", "-S", "-aem", DESTINATION, *_large_study(corpora))
    return run([command], environment)[0]


def _large_study(corpora: Corpora) -> list[str]:
    return _keys(["QueryRetrieveLevel=STUDY", f"StudyInstanceUID={corpora.large_study_uid}"])


def _keys(keys: Sequence[str]) -> list[str]:
    return [word for key in keys for word in ("-k", key)]


class Destination:
    """DCMTK's storescp, which receives and drops what the archives move."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        command = ["/usr/bin/storescp", "-q", "--fork", "--ignore", "-aet", DESTINATION, str(self.port)]
        self._process = Background(command, folder / "storescp.log", environment=NO_DELAY)
        self._process.wait_listening(self.port)

    def close(self) -> None:
        """Stop it."""
        self._process.stop()
