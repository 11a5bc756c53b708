"""docs/how-to/tls.md works as it is written: every command of it is typed, in its order."""

import re
import shutil
from pathlib import Path

import pytest

from scripts.background import Background, free_port
from tests.architecture.test_documents import ROOT, checkout, code, read, run_script
from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import instance, write

__all__ = ["checkout"]  # a fixture


@pytest.mark.wire
@pytest.mark.slow
def test_the_how_to_works_as_it_is_written(checkout: Path, tmp_path: Path) -> None:
    for program in ("echoscu", "storescu"):
        Dcmtk.program(program)
    tls_port = str(free_port())
    shutil.move(write(instance(), tmp_path), checkout / "image.dcm")
    blocks = [block.replace("2762", tls_port) for block in code(read(ROOT / "docs/how-to/tls.md"), "sh")]
    # The programs of the system come before those of pynetdicom, which have the same names.
    paths = f"PATH={checkout}/.venv/bin:/usr/bin:$PATH\n"
    service: Background | None = None
    said = ""
    try:
        for block in blocks:
            if block.startswith("archive serve"):
                command = [checkout / ".venv/bin/archive", *block.split()[1:], "--port", "0", "--workers", "1"]
                service = Background(command, checkout / "log", folder=checkout)
                service.wait_listening(int(tls_port))
            else:
                said += run_script(paths + block, checkout)
    finally:
        if service is not None:
            service.stop()

    assert "Received Echo Response (Success)" in said
    assert re.search(r"store +yes +rule 1: .* allows it", said)
    assert "subject=CN=ct1,O=Hospital" in said
    assert "User ward3 is added." in said
    assert service is not None
    assert "user=ward3" in service.output()
