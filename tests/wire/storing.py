"""Instances stored by a scripted peer, and what the archive keeps of them."""

from pydicom.dataset import FileDataset

from tests.fix_instances import data_set_bytes, encoded
from tests.wire.raw_messages import Message
from tests.wire.raw_scu import RawScu
from tests.wire.running import Archive


def stored(archive: Archive, data_set: FileDataset) -> bytes:
    """The data set as the archive keeps it in the only file of the area."""
    (file,) = archive.files(archive.title.area)
    assert file.read_bytes()[128:132] == b"DICM"
    return data_set_bytes(file)


def store(scu: RawScu, data_set: FileDataset, **how: int) -> Message:
    """C-STORE of a data set on an association that is there."""
    syntax = data_set.file_meta.TransferSyntaxUID
    return scu.store(data_set.SOPClassUID, data_set.SOPInstanceUID, encoded(data_set), syntax, **how)
