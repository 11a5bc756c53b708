"""Rename the files of a study that has ended to a number each, in the order in which they came.

No file is ever replaced: a folder that has such files already is gone on with, behind their highest number.
"""

import logging
import os
import re
from collections.abc import Mapping

from archive.storage import folder as output_folder
from archive.storage.folder import OutputFolder

log = logging.getLogger(__name__)

_PREFIX_CHARACTERS = 2  # with the six digits a name of eight, which every file system takes
_NUMBERED = re.compile(r"..([0-9]{6,})")


def rename_in_order(folder: OutputFolder, subfolder: str, modalities: Mapping[str, str]) -> None:
    """Names become the two first letters of the modality and six digits; `modalities` are by name, in order.

    What cannot be renamed keeps its name, and the log says so.
    """
    try:
        descriptor = folder.open(subfolder)
    except OSError as error:
        log.warning("cannot rename the files in %s/%s: %s", folder.path, subfolder, error.strerror)
        return
    try:
        number = _highest(descriptor)
        for name, modality in modalities.items():
            number = _rename(name, modality[:_PREFIX_CHARACTERS], number + 1, descriptor)
    finally:
        os.close(descriptor)


def _rename(name: str, prefix: str, number: int, folder: int) -> int:
    """The number that it has now, this one or above."""
    while True:
        numbered = f"{prefix}{number:06}"
        try:
            output_folder.rename(name, numbered, folder)
        except FileExistsError:  # somebody else has made it since
            number += 1
            continue
        except OSError as error:
            log.warning("cannot rename file '%s' to '%s': %s", name, numbered, error.strerror)
        return number


def _highest(folder: int) -> int:
    """The highest number that a file in the folder has, 0 if none has one."""
    try:
        readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    except OSError:  # it may be written, and not read
        return 0
    try:
        with os.scandir(readable) as entries:
            found = (_NUMBERED.fullmatch(entry.name) for entry in entries)
            return max((int(each[1]) for each in found if each), default=0)
    finally:
        os.close(readable)
