"""A small site: one configuration file, served by DCMTK's dcmqrscp or by ours."""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from scripts.background import Background, free_port
from tests.fix_dcmtk import Dcmtk
from tests.wire.conversation import Peer
from tests.wire.receivers import Answer, pynetdicom_scp

CONFIGURATION = """\
# A small site.
NetworkTCPPort  = {port}
MaxPDUSize      = 16384
MaxAssociations = 16
HostTable BEGIN
modality    = (MODALITY, localhost, 5001)
viewer      = (VIEWER, localhost, 5002)
elsewhere   = (ELSEWHERE, host.invalid, 5003)
destination = (DESTINATION, localhost, {destination})
asleep      = (ASLEEP, localhost, {asleep})
everybody   = modality, viewer, destination, asleep, elsewhere
HostTable END
VendorTable BEGIN
"Acme" = modality, viewer
VendorTable END
AETable BEGIN
ROOMY       {folder}/roomy      RW  (200, 1024mb)  everybody
GROUPED     {folder}/grouped    RW  (200, 1024mb)  everybody
READABLE    {folder}/readable   R   (200, 1024mb)  ANY
TIGHT       {folder}/tight      RW  (2, 20kb)      everybody
AETable END
"""


DCMQRSCP = (Dcmtk.program("dcmqrscp"),)
OURS = (sys.executable, "-m", "archive", "dcmqrscp")


@contextmanager
def serving(
    command: Sequence[object],
    folder: Path,
    *options: object,
    configuration: str = CONFIGURATION,
    host: str = "127.0.0.1",
    environment: Mapping[str, str] | None = None,
    answer: Answer = lambda event, before: 0,
) -> Iterator[Peer]:
    """A dcmqrscp, ours or DCMTK's, with the small site of CONFIGURATION, and its one move destination."""
    port, asleep = free_port(), free_port()
    with pynetdicom_scp("DESTINATION", answer=answer) as destination:
        for area in re.findall(r"{folder}/(\w+)", configuration):
            (folder / area).mkdir(parents=True, exist_ok=True)
        file = folder / "dcmqrscp.cfg"
        file.write_text(configuration.format(port=port, destination=destination.port, asleep=asleep, folder=folder))
        words = [str(word) for word in (*command, *options, "-c", file)]
        given = {"LC_ALL": "C.UTF-8", "TCP_NODELAY": "1", **(environment or {})}
        process = Background(words, folder / "dcmqrscp.log", environment=given)
        try:
            process.wait_listening(port, host=host)
            yield Peer(port, destination, process)
        finally:
            process.stop()
