"""Names of files as DCMTK's programs give them, to the byte: one class for each scheme; pure but for the clock.

The text of a peer is never part of a name as it came. Where a scheme promises a name of its own for each instance, no
two threads are given the same one, and whoever uses a name asks for another where a file has it.
"""

import os
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from archive.dicom.modality_prefixes import prefix
from archive.errors import Misconfigured
from archive.storage.moments import Clock, Moments
from archive.storage.received import Received

# With the longest prefix, UID and time, names stay below the 255 bytes that file systems take.
MOST_EXTENSION_BYTES = 128

# DCMTK's root for instances, a number for the host, the process, the time and a counter follow: see `UniqueNames`.
_UID_ROOT = "1.2.276.0.7230010.3.1.4"

# Looser than PS3.5 9.1, as devices are; it leads nowhere else, and hides no file.
_LIKE_UID = re.compile(r"[0-9][0-9.]*")
_NOT_KEPT = re.compile(r"[^A-Za-z0-9 .:@_-]")


def sanitised(text: str) -> str:
    """A peer's text as part of a name: what is no letter or digit of ASCII and none of ` -.:@_` is `_`."""
    return _NOT_KEPT.sub("_", text)


def _check_extension(extension: str) -> None:
    if "/" in extension or "\0" in extension or len(os.fsencode(extension)) > MOST_EXTENSION_BYTES:
        raise Misconfigured(
            f"The extension of file names holds a slash, or is longer than {MOST_EXTENSION_BYTES} bytes",
            extension=extension,
        )


@dataclass(frozen=True, slots=True)
class DefaultNames:
    """`<prefix>.<SOP Instance UID><extension>`; a file of that name is replaced. Raises Misconfigured."""

    extension: str = ""

    replaces: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_extension(self.extension)

    def name(self, received: Received, subfolder: str) -> str:
        """The name, the same for the same instance."""
        modality = prefix(received.sop_class_uid, unknown="UNKNOWN")
        return f"{modality}.{sanitised(received.sop_instance_uid)}{self.extension}"


@dataclass(frozen=True, slots=True)
class InstanceUidNames:
    """`<SOP Instance UID>`; a file of that name is replaced. What cannot be a UID has its default name."""

    replaces: ClassVar[bool] = True

    def name(self, received: Received, subfolder: str) -> str:
        """The name, the same for the same instance."""
        uid = received.sop_instance_uid
        return uid if _LIKE_UID.fullmatch(uid) else DefaultNames().name(received, subfolder)


class UniqueNames:
    """`<prefix>.X.<new UID><extension>`. Raises Misconfigured.

    The UID is formed as DCMTK forms its own, below the same root, so that whatever looks for such names finds them; it
    is the name of a file and of nothing else.
    """

    replaces: ClassVar[bool] = False

    def __init__(self, extension: str = "") -> None:
        _check_extension(extension)
        self._extension = extension
        self._host = random.SystemRandom().getrandbits(32)
        self._count = 0
        self._change = threading.Lock()

    def name(self, received: Received, subfolder: str) -> str:
        """A new name."""
        with self._change:
            self._count += 1
            count = self._count
        uid = f"{_UID_ROOT}.{self._host}.{os.getpid()}.{int(time.time())}.{count}"
        return f"{prefix(received.sop_class_uid, unknown='UNKNOWN')}.X.{uid}{self._extension}"


class TimeNames:
    """`YYYYMMDDHHMMSSmmm[_NNNN].<prefix><extension>`, the time when it was received. Raises Misconfigured.

    The first file of a prefix in a subfolder and a millisecond has no number, the next ones have 0000 and so on.
    """

    replaces: ClassVar[bool] = False

    def __init__(self, extension: str = "", clock: Clock = datetime.now) -> None:
        _check_extension(extension)
        self._extension = extension
        self._clock = clock
        self._stamp = ""
        self._given: dict[tuple[str, str], int] = {}  # in this millisecond, by subfolder and prefix
        self._change = threading.Lock()

    def name(self, received: Received, subfolder: str) -> str:
        """A new name."""
        modality = prefix(received.sop_class_uid, unknown="UNKNOWN")
        key = (subfolder, modality)
        with self._change:
            stamp = milliseconds(self._clock())
            if stamp != self._stamp:
                self._stamp = stamp
                self._given.clear()
            count = self._given.get(key, 0)
            self._given[key] = count + 1
        number = f"_{count - 1:04}" if count else ""
        return f"{stamp}{number}.{modality}{self._extension}"


def milliseconds(moment: datetime, separator: str = "") -> str:
    """`YYYYMMDD<separator>HHMMSSmmm`."""
    return f"{moment:%Y%m%d}{separator}{moment:%H%M%S}{moment.microsecond // 1000:03}"


class ShortUniqueNames:
    """`<prefix>_<16 hexadecimal digits><extension>`: the time this began, and a random number. Raises Misconfigured."""

    replaces: ClassVar[bool] = False

    def __init__(
        self,
        extension: str = "",
        *,
        begun_at: float | None = None,
        random_32_bits: Callable[[], int] = lambda: int.from_bytes(os.urandom(4)),
    ) -> None:
        """`begun_at` is in seconds since 1970; None is now."""
        _check_extension(extension)
        self._extension = extension
        self._begun_at = int(time.time() if begun_at is None else begun_at) & 0xFFFFFFFF
        self._random = random_32_bits

    def name(self, received: Received, subfolder: str) -> str:
        """A new name, most probably: whoever uses it looks if a file has it."""
        modality = prefix(received.sop_class_uid, unknown="XX")
        return f"{modality}_{self._begun_at:08x}{self._random():08x}{self._extension}"


class SystemTimeNames:
    """`YYYYMMDDHHMMSS.ffffff.<prefix><extension>` local time. Raises Misconfigured."""

    replaces: ClassVar[bool] = False

    def __init__(self, extension: str = "", clock: Clock = datetime.now) -> None:
        _check_extension(extension)
        self._extension = extension
        self._moments = Moments(timedelta(microseconds=1), clock)

    def name(self, received: Received, subfolder: str) -> str:
        """A new name."""
        modality = prefix(received.sop_class_uid, unknown="UNKNOWN")
        return f"{self._moments.next():%Y%m%d%H%M%S.%f}.{modality}{self._extension}"
