"""An instance that somebody brings, beside what the area holds of it. Everything here only reads."""

from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import BinaryIO

from archive.errors import ArchiveError, DataSetMismatch, UnreadableFile
from archive.lifecycle.importing.batch import Known
from archive.lifecycle.importing.candidates import Candidate, NotAnInstance, look
from archive.registry.model import Area
from archive.storage.local import LocalArea
from archive.storage.sources import Found

_COMPARED_BYTES = 1 << 20  # at a time


def is_lost(files: LocalArea, known: Known) -> bool:
    """Whether the file of a held instance is gone."""
    return known.held is not None and known.held.path is not None and not files.has(known.held.path)


def is_same(files: LocalArea, candidate: Candidate, known: Known) -> bool:
    """Whether the area holds these very bytes; told by size and time where both agree, else by reading both."""
    held = known.held
    if held is None or held.transfer_syntax_uid != candidate.recognized.transfer_syntax_uid:
        return False
    if held.size_bytes - held.data_set_offset != candidate.data_set_bytes:
        return False
    state = None if held.path is None else files.look_at(held.path)
    if state is not None and state.modified_at_ns == candidate.source.modified_at_ns:
        return state.size_bytes == held.size_bytes
    try:
        with _opened(files, known) as stream:
            stream.seek(held.data_set_offset)
            return _has_data_set(iter(lambda: stream.read(_COMPARED_BYTES), b""), candidate)
    except (UnreadableFile, OSError):
        return False


def is_same_file(area: Area, candidate: Candidate, other: Found) -> bool:
    """As `is_same`, with a file that the area would hold by now."""
    try:
        beside = look(other, area)
    except (NotAnInstance, ArchiveError):  # it has changed since
        return False
    with beside.source:
        if beside.recognized.transfer_syntax_uid != candidate.recognized.transfer_syntax_uid:
            return False
        if beside.data_set_bytes != candidate.data_set_bytes:
            return False
        if beside.source.modified_at_ns == candidate.source.modified_at_ns:
            return True
        try:
            return _has_data_set(_data_set_of(beside), candidate)
        except UnreadableFile:
            return False


def require_unchanged(candidate: Candidate, known: Known) -> None:
    """A file that is in the index already is as its row says; raises DataSetMismatch."""
    if known.held is not None and candidate.source.size_bytes != known.held.size_bytes:
        raise DataSetMismatch("The file has changed since it was indexed; run: archive check verify")


def _opened(files: LocalArea, known: Known) -> BinaryIO:
    """All that is held, with its File Meta Information; raises UnreadableFile."""
    if known.content is not None:
        return BytesIO(known.content)
    if known.held is None or known.held.path is None:
        raise UnreadableFile("The instance was removed meanwhile")
    return files.open(known.held.path)


def _data_set_of(candidate: Candidate) -> Iterator[bytes]:
    position = candidate.recognized.data_set_offset
    while piece := candidate.read(position, _COMPARED_BYTES):
        yield piece
        position += len(piece)


def _has_data_set(pieces: Iterable[bytes], candidate: Candidate) -> bool:
    """Whether these are the data set of the candidate, to the end."""
    position = candidate.recognized.data_set_offset
    for piece in pieces:
        if candidate.read(position, len(piece)) != piece:
            return False
        position += len(piece)
    return position == candidate.source.size_bytes
