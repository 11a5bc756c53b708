"""Names of files as DCMTK's programs give them; pure but for the clock.

The text of a peer is never part of a path as it came: what is no letter, digit, `.`, `-` or `_` becomes `_`.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from archive.dicom.modality_prefixes import prefix
from archive.storage.folder import Received

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, slots=True)
class DefaultNames:
    """`<prefix>.<SOP Instance UID><extension>`; a file of that name is replaced."""

    folder: Path
    extension: str = ""

    def path(self, received: Received) -> Path:
        """The whole path of the file."""
        name = f"{prefix(received.sop_class_uid, unknown='UNKNOWN')}.{received.sop_instance_uid}{self.extension}"
        return self.folder / _NOT_IN_NAMES.sub("_", name)
