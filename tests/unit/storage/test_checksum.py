"""A checksum is the same however the bytes come, and the value is the one that others print."""

from pathlib import Path

from archive.storage import checksum
from archive.storage.checksum import Checksum

# `printf hello | xxhsum -H128`, as published with XXH3's test vectors.
HELLO = "b5e9c1ad071b3e7fc779cfaa5e523818"


def test_the_value_is_that_of_xxhsum():
    assert checksum.of_bytes(b"hello").hex() == HELLO


def test_pieces_and_streams_have_the_same_checksum(tmp_path: Path):
    content = bytes(range(256)) * 10_000
    (tmp_path / "file").write_bytes(content)
    pieces = Checksum(content[:10], memoryview(content)[10:5000])
    pieces.update(content[5000:])

    with (tmp_path / "file").open("rb", buffering=0) as stream:
        read = checksum.of_stream(stream)

    assert pieces.value == read == checksum.of_bytes(content)
    assert len(read) == checksum.SIZE_BYTES
