"""Where in an area a new file goes: names are ours and never the peer's text, and none is used twice.

`YYYY/MM/DD/HHMM/<32 hex digits>.dcm`, in UTC. One folder a minute keeps a folder below some 100,000 entries at the
highest rates measured, lets one folder sync serve all files of a moment, and puts files that were stored together side
by side. The random part makes the name unique among workers and nodes without asking anybody.
"""

import os
import re
from datetime import UTC, datetime

_RANDOM_BYTES = 16

_OURS = re.compile(r"\d{4}/\d\d/\d\d/\d{4}/[0-9a-f]{32}\.dcm")


def new_path(now: datetime) -> str:
    """A relative path that no file of any area has ever had."""
    return f"{now.astimezone(UTC):%Y/%m/%d/%H%M}/{os.urandom(_RANDOM_BYTES).hex()}.dcm"


def is_ours(path: str) -> bool:
    """Whether this relative path could have been made by `new_path`."""
    return _OURS.fullmatch(path) is not None
