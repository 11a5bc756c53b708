"""Where an archive spends its time during a row: flame graphs, by a sampler that looks from outside (py-spy)."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SAMPLES_PER_SECOND = 500
_START_SECONDS = 30.0


@contextmanager
def profiled(pid: int, picture: Path) -> Iterator[None]:
    """Sample the Python of a process and its children, and draw what was seen (SVG); needs the right to trace them."""
    command = [str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(pid), "--subprocesses"]
    command += ["--nonblocking", "--rate", str(_SAMPLES_PER_SECOND), "--output", str(picture)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as sampler:
        try:
            _wait_until_it_samples(sampler)
            yield
        finally:
            sampler.send_signal(signal.SIGINT)
            sampler.communicate(timeout=_START_SECONDS)


def _wait_until_it_samples(sampler: subprocess.Popen[str]) -> None:
    assert sampler.stdout is not None
    said = ""
    for line in sampler.stdout:
        if "Sampling process" in line:
            return
        said += line
    sys.exit(f"py-spy cannot look into the archive; run as root, or allow it (kernel.yama.ptrace_scope=0)\n{said}")
