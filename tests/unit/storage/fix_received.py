"""Instances as a name or a folder is asked for them: by keyword, without a wire."""

from pathlib import Path
from typing import Any

from pydicom.dataset import FileDataset
from pydicom.uid import ExplicitVRLittleEndian

from archive.dicom import header
from archive.storage.received import Received
from tests.fix_instances import encoded, instance

CT, MR, SECONDARY_CAPTURE = (f"1.2.840.10008.5.1.4.1.1.{last}" for last in (2, 4, 7))
NOBODYS = "1.2.826.0.1.3680043.9.7"  # a SOP Class that no table knows


def received(sop_class_uid: str = CT, **keywords: Any) -> Received:
    """An instance of this SOP Class; `keywords` as for `instance`."""
    return received_from(instance(side_pixels=0, SOPClassUID=sop_class_uid, **keywords))


def received_from(data_set: FileDataset) -> Received:
    """The same from a data set in explicit VR little endian."""
    raw = encoded(data_set)
    scanned = header.scan(raw, ExplicitVRLittleEndian, is_whole=True)
    return Received(str(data_set.SOPClassUID), str(data_set.SOPInstanceUID), lambda: scanned)


def with_raw(tag: int, vr: bytes, value: bytes, character_set: bytes = b"") -> Received:
    """An instance of which a value is these bytes, whatever may be wrong with them; a tag above (0008,0018)."""
    sets = b"\x08\x00\x05\x00CS" + len(character_set).to_bytes(2, "little") + character_set
    study = b"" if tag == 0x0020000D else b"\x20\x00\x0d\x00UI\x04\x001.2\0"
    head = tag.to_bytes(4, "little")
    element = head[2:] + head[:2] + vr + len(value).to_bytes(2, "little") + value
    raw = sets + element + study
    scanned = header.scan(raw, ExplicitVRLittleEndian, is_whole=True)
    return Received(CT, "1.2.3", lambda: scanned)


def names(folder: Path) -> list[str]:
    """What lies in a folder, hidden files too."""
    return sorted(path.name for path in folder.iterdir())
