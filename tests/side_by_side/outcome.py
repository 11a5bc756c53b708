"""What a program has done that others can see: files, answers on the wire, exit code and standard output.

Times, random digits and new UIDs are compared by their form; everything else to the letter.
"""

import os
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.filereader import read_file_meta_info

from tests.fix_instances import data_set_bytes

MOVING = (
    (re.compile(r"[0-9]{8}_[0-9]{9}"), "<date>_<time>"),
    (re.compile(r"(?<![0-9])[0-9]{17}(_[0-9]{4})?(?=\.)"), "<time>"),  # a number depends on how fast they come
    (re.compile(r"(?<![0-9])[0-9]{14}\.[0-9]{6}(?=\.)"), "<time>.<fraction>"),
    (re.compile(r"_[0-9a-f]{16}"), "_<random>"),
    (re.compile(r"\.X\.1\.2\.276\.0\.7230010\.3\.1\.4(\.(0|[1-9][0-9]*)){4}"), ".X.<uid>"),
    (re.compile(r"^undef/[0-9]{8}(?=/)"), "undef/<today>"),
)
_PADDINGS = (b"\xfc\xff\xfc\xff", b"\xff\xfc\xff\xfc")  # Data Set Trailing Padding (FFFC,FFFC), big endian too
_ANSWER = "1.2.276.0.7230010.3.1.0.1"  # the private class of answers that findscu writes, with new UIDs
_DEFLATED = "1.2.840.10008.1.2.1.99"


@dataclass(frozen=True)
class Kept:
    """A file: its name, File Meta Information as far as it does not say who wrote it, and the data set."""

    name: str
    meta: tuple[str, ...]
    data_set: bytes


@dataclass(frozen=True)
class Outcome:
    """All that is compared."""

    answers: Sequence[str]
    exit_code: int
    files: Sequence[Kept] = ()
    output: str = ""


def in_form(name: str) -> str:
    """A name without what differs from run to run."""
    for pattern, form in MOVING:
        name = pattern.sub(form, name)
    return name


def files_in(folder: Path) -> list[Kept]:
    """Every file below a folder."""
    found = [_kept(Path(place) / name, folder) for place, _, names in os.walk(folder) for name in names]
    return sorted(found, key=lambda each: (each.name, each.meta, each.data_set))


def _kept(file: Path, folder: Path) -> Kept:
    name = in_form(file.relative_to(folder).as_posix())
    content = file.read_bytes()
    if content[128:132] != b"DICM":
        return Kept(name, (), content)
    meta = read_file_meta_info(file)
    said = (
        str(meta.MediaStorageSOPClassUID),
        "<uid>" if meta.MediaStorageSOPClassUID == _ANSWER else str(meta.MediaStorageSOPInstanceUID),
        str(meta.TransferSyntaxUID),
        str(meta.get("SourceApplicationEntityTitle", "")),
    )
    data_set = data_set_bytes(content)
    if meta.TransferSyntaxUID == _DEFLATED:  # the same may be deflated in many ways
        data_set = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data_set)
    for padding in _PADDINGS:  # its length depends on that of the File Meta Information
        if padding in data_set[-4096:]:
            data_set = data_set.rpartition(padding)[0]
    return Kept(name, said, data_set)
