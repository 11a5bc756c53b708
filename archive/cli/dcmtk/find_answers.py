"""What becomes of the matches of a C-FIND: files in a folder, a file of all, a document on standard output."""

import os
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from archive.cli.dcmtk.face import Ended
from archive.cli.dcmtk.findscu_options import Output
from archive.dicom import json_model, nodes, part10, xml_models
from archive.dicom.nodes import Node
from archive.storage.folder import OutputFile, OutputFolder

_UNKNOWN_SOP_CLASS = "1.2.276.0.7230010.3.1.0.1"  # DCMTK's private one, of a file that holds no instance
_SOP_CLASS_UID, _SOP_INSTANCE_UID = 0x00080016, 0x00080018


@dataclass(frozen=True)
class Match:
    """One match as it came."""

    number: int
    """From 1, over all responses on the association."""
    identifier: bytes
    transfer_syntax: str

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Its elements; raises UnreadableDataSet."""
        return nodes.parse(self.identifier, self.transfer_syntax)


class Taker(Protocol):
    """Where matches go; used once for each, in their order."""

    def take(self, match: Match) -> str:
        """Take a match; what is said of it, or nothing. Raises OSError, and UnreadableDataSet."""
        ...


@contextmanager
def takers(output: Output, failed: int) -> Iterator[Sequence[Taker]]:
    """All that take matches; what they write is whole when the context ends. Raises Ended with `failed`."""
    with ExitStack() as stack:
        found: list[Taker] = []
        try:
            if output.extracts == "--extract-xml-single":
                files: Taker = stack.enter_context(_single_file(output.single_file))
                found.append(_Limited(files, output.limit))
            elif output.extracts:
                files = _Files(output.folder, is_xml=output.extracts == "--extract-xml")
                found.append(_Limited(files, output.limit))
            if output.document:
                found.append(stack.enter_context(_document(output.document)))
            yield found
            stack.close()
        except OSError as error:
            where = f": {error.filename}" if error.filename else ""
            raise Ended(f"cannot write responses: {error.strerror or error}{where}", failed) from error


@dataclass
class _Limited:
    """Files as many as `--limit-output` allows, counted as the matches are numbered."""

    files: Taker
    limit: int | None
    has_said: bool = False

    def take(self, match: Match) -> str:
        if self.limit is None or match.number <= self.limit:
            return self.files.take(match)
        said = "" if self.has_said else "Maximum number of responses already written to file"
        self.has_said = True
        return said


class _Files:
    """A file for each match, whole or not there; one of that name is replaced."""

    def __init__(self, folder: Path, *, is_xml: bool) -> None:
        self._path, self._folder = folder, OutputFolder(folder)
        self._is_xml = is_xml

    def take(self, match: Match) -> str:
        name = f"rsp{match.number:04}.{'xml' if self._is_xml else 'dcm'}"
        with self._folder.create() as file:
            if self._is_xml:
                has_sets = any(nodes.character_sets(match.nodes))
                declaration = xml_models.DECLARATION if has_sets else xml_models.SHORT_DECLARATION
                lines = (declaration, *xml_models.of_dcmtk(match.nodes, match.transfer_syntax))
                file.write("\n".join((*lines, "")).encode())
            else:
                file.write(_meta(match), match.identifier)
            _publish(self._folder, file, name)
        return f"Writing response dataset to file: {self._path / name}"


def _meta(match: Match) -> bytes:
    """File Meta Information; a match is mostly no instance, and then has UIDs of a file's own."""
    values = {node.tag: node.value for node in match.nodes if isinstance(node.value, bytes)}
    sop_class, sop_instance = (
        values.get(tag, b"").decode("latin-1").strip(" \0") for tag in (_SOP_CLASS_UID, _SOP_INSTANCE_UID)
    )
    return part10.file_meta(
        sop_class or _UNKNOWN_SOP_CLASS, sop_instance or f"2.25.{uuid.uuid4().int}", match.transfer_syntax
    )


def _publish(folder: OutputFolder, file: OutputFile, name: str) -> None:
    descriptor = folder.open("")
    try:
        file.publish(name, descriptor, replaces=True)
    finally:
        os.close(descriptor)


class _SingleFile:
    """All matches in one document, in the form of DCMTK's."""

    def __init__(self, file: OutputFile) -> None:
        self._file = file

    def take(self, match: Match) -> str:
        lines = xml_models.of_dcmtk(match.nodes, match.transfer_syntax)
        self._file.write("".join(f"{line}\n" for line in lines).encode())
        return ""


@contextmanager
def _single_file(path: Path) -> Iterator[_SingleFile]:
    folder = OutputFolder(path.parent)
    with folder.create() as file:
        file.write(f'{xml_models.DECLARATION}\n<responses type="C-FIND">\n'.encode())
        yield _SingleFile(file)
        file.write(b"</responses>\n")
        _publish(folder, file, path.name)


class _Json:
    """A list of objects on standard output, each on a line of its own."""

    def __init__(self) -> None:
        self._count = 0

    def take(self, match: Match) -> str:
        _print((",\n" if self._count else "\n") + json_model.text_of(match.nodes))
        self._count += 1
        return ""


class _NativeModels:
    """A document of models on standard output; its root is that of DCMTK's files of all responses."""

    def take(self, match: Match) -> str:
        _print("".join(f"{line}\n" for line in xml_models.native(match.nodes)))
        return ""


@contextmanager
def _document(kind: str) -> Iterator[Taker]:
    """A document that is well-formed however the association ends."""
    start, end = ("[", "\n]\n") if kind == "--json" else _XML_FRAME
    _print(start)
    try:
        yield _Json() if kind == "--json" else _NativeModels()
    finally:
        _print(end)
        sys.stdout.flush()


def _print(text: str) -> None:
    """In UTF-8, as JSON is and as the document says, whatever the terminal has."""
    sys.stdout.buffer.write(text.encode())


_XML_FRAME = (f'{xml_models.DECLARATION}\n<responses type="C-FIND">\n', "</responses>\n")
