"""storescu as tests run it, and files to be sent."""

import os
import subprocess
from pathlib import Path

from pydicom import dcmread

from tests.fix_dcmtk import Ran
from tests.fix_instances import instance, part10_bytes
from tests.wire.storage_scps import OURS, words_of

SECONDS = 120.0  # no run takes this long, on a busy machine either


def storescu(*arguments: object, command: tuple[str, ...] = OURS, folder: Path | None = None) -> Ran:
    """Run storescu, ours unless another is named, to its end."""
    words = [*words_of(command, "storescu"), *map(str, arguments)]
    ran = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        timeout=SECONDS,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    return Ran(tuple(words), ran.returncode, ran.stdout.decode(errors="replace"))


def several(folder: Path, count: int = 3) -> list[Path]:
    """Instances in files named by their numbers."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number:03}.dcm" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(part10_bytes(instance(number=number)))
    return paths


def sop_instance_uids(paths: list[Path]) -> list[str]:
    return [str(dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in paths]
