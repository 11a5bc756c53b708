"""The checksum of a stored file: XXH3 with 128 bits and seed 0, in the byte order that `xxhsum -H128` prints.

It finds what a disk, a copy or a careless hand has changed. It is no signature: whoever changes a file on purpose can
make one of the same checksum. Why this one, and what it costs a store: `docs/decisions/0013`.
"""

from typing import BinaryIO

from xxhash import xxh3_128

SIZE_BYTES = 16

# Read at a time: long enough for the disk, and no more memory however long the file is.
_PIECE_BYTES = 1 << 20


class Checksum:
    """The checksum of bytes that come piece by piece."""

    __slots__ = ("_hash", "update")

    def __init__(self, *begun: bytes | bytearray | memoryview) -> None:
        """`begun` are the pieces that there are already."""
        self._hash = xxh3_128()
        self.update = self._hash.update  # the call itself: a store makes one for each fragment
        for piece in begun:
            self.update(piece)

    @property
    def value(self) -> bytes:
        """The checksum of all that was given so far."""
        return self._hash.digest()


def of_bytes(content: bytes | bytearray | memoryview) -> bytes:
    """The checksum of what is in memory as a whole."""
    return xxh3_128(content).digest()


def of_stream(stream: BinaryIO) -> bytes:
    """The checksum of what is left of an unbuffered file; raises OSError."""
    checksum, buffer = Checksum(), memoryview(bytearray(_PIECE_BYTES))
    while count := stream.readinto(buffer):  # type: ignore[attr-defined]  # unbuffered files have it
        checksum.update(buffer[:count])
    return checksum.value
