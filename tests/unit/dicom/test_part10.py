"""part10.py: File Meta Information that others read, and that of others."""

import io
import subprocess
from pathlib import Path

import pytest
from pydicom.filereader import read_file_meta_info

from archive import errors
from archive.dicom import part10
from archive.dicom.encode import Element, encode
from archive.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN, IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from tests.unit.dicom.corpus import FOLDER, read

CT = "1.2.840.10008.5.1.4.1.1.2"


def test_file_meta_is_read_by_pydicom(tmp_path: Path) -> None:
    path = tmp_path / "file.dcm"
    path.write_bytes(part10.file_meta(CT, "1.2.3.45", EXPLICIT_VR_LITTLE_ENDIAN, "SCANNER", "ARCHIVE1"))

    meta = read_file_meta_info(path)

    assert meta.FileMetaInformationVersion == b"\0\1"
    assert meta.MediaStorageSOPClassUID == CT
    assert meta.MediaStorageSOPInstanceUID == "1.2.3.45"
    assert meta.TransferSyntaxUID == EXPLICIT_VR_LITTLE_ENDIAN
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert meta.ImplementationVersionName == IMPLEMENTATION_VERSION_NAME
    assert meta.SourceApplicationEntityTitle == "SCANNER"
    assert meta.ReceivingApplicationEntityTitle == "ARCHIVE1"
    assert meta.FileMetaInformationGroupLength == path.stat().st_size - 128 - 4 - part10.GROUP_LENGTH_BYTES


def test_file_meta_is_read_by_dcmdump(tmp_path: Path) -> None:
    path = tmp_path / "file.dcm"
    data_set = encode(
        [Element(0x00080018, "UI", b"1.2.3.45"), Element(0x00100020, "LO", b"P1")], EXPLICIT_VR_LITTLE_ENDIAN
    )
    path.write_bytes(part10.file_meta(CT, "1.2.3.45", EXPLICIT_VR_LITTLE_ENDIAN, "SCANNER") + data_set)

    result = subprocess.run(["/usr/bin/dcmdump", str(path)], check=True, capture_output=True, text=True)

    assert "(0002,0016) AE [SCANNER ]" in result.stdout or "(0002,0016) AE [SCANNER]" in result.stdout
    assert "(0010,0020) LO [P1]" in result.stdout
    assert result.stderr == ""


def test_own_file_meta_is_read_again() -> None:
    head = part10.file_meta(CT, "1.2.3", EXPLICIT_VR_LITTLE_ENDIAN, "SCANNER")

    meta = part10.read_meta(head + b"\x08\x00")

    assert (meta.sop_class_uid, meta.sop_instance_uid) == (CT, "1.2.3")
    assert meta.transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN
    assert meta.source_ae_title == "SCANNER"
    assert meta.receiving_ae_title == ""
    assert meta.data_set_offset == part10.data_set_offset(head) == len(head)


@pytest.mark.parametrize("name", ["CT_small.dcm", "no_meta_group_length.dcm", "ExplVR_LitEndNoMeta.dcm", "rtplan.dcm"])
def test_data_set_begins_where_pydicom_says(name: str) -> None:
    content = (FOLDER / name).read_bytes()
    stream = io.BytesIO(content)

    meta = part10.read_meta(content)

    expected = read(content).file_meta
    assert meta.sop_instance_uid == expected.get("MediaStorageSOPInstanceUID", "")
    assert meta.transfer_syntax_uid == expected.get("TransferSyntaxUID", "")
    stream.seek(meta.data_set_offset)
    assert stream.read(2) == b"\x08\x00"


def test_head_that_ends_inside_the_meta_information_is_refused() -> None:
    head = part10.file_meta(CT, "1.2.3", EXPLICIT_VR_LITTLE_ENDIAN, "SCANNER")

    with pytest.raises(errors.UnreadableFile):
        part10.read_meta(head[:200])
