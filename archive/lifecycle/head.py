"""The beginning of a data set, as a store and an import look at it: how much of it, and whether it says what it is."""

import re

from archive.dicom import uids
from archive.dicom.header import Header
from archive.errors import MissingUid

# Of the data set, kept in memory to be scanned: the header of all but a few objects, which are read back instead. What
# is no longer than this is stored in the database first; above, writing the bytes twice costs more than their own sync.
HEAD_BYTES = 65_536

# Looser than PS3.5 9.1 in one point: some modalities write components with leading zeros, and such a UID names its
# instance all the same.
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")


def require_uids(scanned: Header) -> None:
    """An instance says which it is, and to which series and study it belongs; raises MissingUid."""
    for name, tag, uid in (
        ("SOP Instance UID", 0x00080018, scanned.sop_instance_uid),
        ("Study Instance UID", 0x0020000D, scanned.study_instance_uid),
        ("Series Instance UID", 0x0020000E, scanned.series_instance_uid),
    ):
        if len(uid) > uids.MAX_UID_CHARACTERS or not _UID.fullmatch(uid):
            what = "malformed" if uid else "missing"
            raise MissingUid(f"The {name} is {what}", offending_element=tag)
