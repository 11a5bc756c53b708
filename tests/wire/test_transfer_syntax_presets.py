"""Which transfer syntaxes a title takes and a peer is offered, by preset; beside dcmqrscp with the same option."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread

from archive.dicom.transfer_syntax_presets import ACCEPT, PROPOSE
from tests.fix_dcmtk import Dcmtk, ExitCode, Receiver
from tests.fix_instances import BUNDLED_FOLDER, data_set_bytes, encoded, instance
from tests.wire.raw_messages import (
    BIG_ENDIAN,
    CT_IMAGE,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    STUDY_ROOT_FIND,
    STUDY_ROOT_MOVE,
    VERIFICATION,
    Proposed,
)
from tests.wire.raw_scu import RawScu
from tests.wire.real_dcmqrscp import RealDcmqrscp
from tests.wire.receivers import pynetdicom_scp
from tests.wire.running import Archive, identifier
from tests.wire.same_content import same_content

JPEG_2000_LOSSLESS, RLE = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5"

# The options of dcmqrscp 3.6.7.
OPTIONS = {
    "uncompressed": "x=",
    "little-endian": "xe",
    "big-endian": "xb",
    "implicit": "xi",
    "jpeg-lossless": "xs",
    "jpeg-8bit": "xy",
    "jpeg-12bit": "xx",
    "j2k-lossless": "xv",
    "j2k-lossy": "xw",
    "jls-lossless": "xt",
    "jls-lossy": "xu",
    "mpeg2": "xm",
    "mpeg2-high": "xh",
    "mpeg4": "xn",
    "mpeg4-bd": "xl",
    "mpeg4-2-2d": "x2",
    "mpeg4-2-3d": "x3",
    "mpeg4-2-st": "xo",
    "hevc": "x4",
    "hevc10": "x5",
    "rle": "xr",
    "deflated": "xd",
}

# What a peer may propose: most (dcmqrscp takes no more than 50), and what tells the order of the uncompressed ones.
PROPOSALS = (tuple(reversed(ACCEPT["all"])), (IMPLICIT, BIG_ENDIAN), (IMPLICIT, EXPLICIT), (BIG_ENDIAN,), (IMPLICIT,))
CONTEXTS = [
    *(Proposed(CT_IMAGE, syntaxes) for syntaxes in PROPOSALS),
    # Not the first: dcmqrscp would take a compressed transfer syntax for identifiers too.
    *(Proposed(name, syntaxes) for name in (STUDY_ROOT_FIND, VERIFICATION) for syntaxes in PROPOSALS[1:]),
]


def taken(scu: RawScu) -> dict[int, str]:
    """What was accepted, by context ID."""
    with scu:
        accepted = {each.context_id: each.transfer_syntax for each in scu.accepted}
        scu.release()
    return accepted


@pytest.mark.parametrize("preset", ACCEPT)
def test_a_title_takes_what_its_preset_says(
    archive: Archive, start_dcmqrscp: Callable[..., RealDcmqrscp], preset: str
) -> None:
    archive.set_title(archive.title, accepts=preset)

    accepted = taken(archive.associate(*CONTEXTS))

    of_ct = [accepted.get(2 * number + 1) for number in range(len(PROPOSALS))]
    assert of_ct == [next((each for each in ACCEPT[preset] if each in offered), None) for offered in PROPOSALS]
    if preset in OPTIONS:
        assert accepted == taken(start_dcmqrscp(f"+{OPTIONS[preset]}").associate(*CONTEXTS))


SAMPLES = {
    "jpeg-lossless": ("s", "SC_rgb_jpeg_gdcm.dcm"),
    "jpeg-8bit": ("y", "SC_rgb_jpeg_dcmtk.dcm"),
    "jpeg-12bit": ("x", "JPGExtended.dcm"),
    "j2k-lossless": ("v", "MR_small_jp2klossless.dcm"),
    "j2k-lossy": ("w", "JPEG2000.dcm"),
    "jls-lossless": ("t", "MR_small_jpeg_ls_lossless.dcm"),
    "jls-lossy": ("u", "JPEGLSNearLossless_16.dcm"),
    "rle": ("r", "MR_small_RLE.dcm"),
}


@pytest.mark.parametrize("preset, letter, name", [(preset, *sample) for preset, sample in SAMPLES.items()])
def test_storescu_can_send_compressed_to_a_title_that_prefers_it(
    archive: Archive, dcmtk: Dcmtk, tmp_path: Path, preset: str, letter: str, name: str
) -> None:
    """By +C it proposes all its transfer syntaxes in one context, so that the title's order decides."""
    file = tmp_path / name
    sample = dcmread(BUNDLED_FOLDER / name)
    sample.StudyInstanceUID = sample.SeriesInstanceUID = "1.2.3"  # some have none
    sample.save_as(file)
    for accepts, is_ok in (("uncompressed", False), ("held", False), (preset, True)):
        archive.set_title(archive.title, accepts=accepts)

        ran = dcmtk.run("storescu", f"-x{letter}", "+C", "-aec", archive.title, "127.0.0.1", archive.port, file)

        assert ran.is_ok is is_ok, ran
    held = archive.files(archive.title.area)
    assert [_syntax(path) for path in held] == [_syntax(file)]


def test_findscu_is_answered_in_the_byte_order_that_the_title_prefers(archive: Archive, dcmtk: Dcmtk) -> None:
    archive.store(instance())
    archive.set_title(archive.title, accepts="big-endian")

    ran, found = dcmtk.find(
        archive.port, "QueryRetrieveLevel=STUDY", "StudyDate=", called=archive.title.name, options=("-d", "-xb")
    )

    assert [each.StudyDate for each in found] == [instance().StudyDate], ran
    assert "Accepted Transfer Syntax: =BigEndianExplicit" in ran.output


STUDY = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": instance().StudyInstanceUID}
KEYS = [f"{keyword}={value}" for keyword, value in STUDY.items()]


@pytest.mark.parametrize(
    "preset, wants, arrives",
    [
        pytest.param("uncompressed", "+xe", EXPLICIT, id="uncompressed"),
        pytest.param("uncompressed", "+xb", BIG_ENDIAN, id="the destination chooses"),
        pytest.param("big-endian", "+xe", EXPLICIT, id="big endian offered first"),
        pytest.param("implicit", "+x=", IMPLICIT, id="implicit only"),
        pytest.param("deflated", "+xd", DEFLATED, id="deflated"),
        pytest.param("rle", "+xe", EXPLICIT, id="rle offered, not taken"),
    ],
)
def test_movescu_sends_in_what_the_destination_takes_of_the_preset(
    archive: Archive,
    dcmtk: Dcmtk,
    start_storescp: Callable[..., Receiver],
    start_dcmqrscp: Callable[..., RealDcmqrscp],
    preset: str,
    wants: str,
    arrives: str,
) -> None:
    destination = start_storescp(wants, title="DESTINATION")
    archive.add_peer(destination.port, title := f"D{destination.port}", proposes=preset)
    archive.store(instance())
    real = start_dcmqrscp(f"-{OPTIONS[preset]}", peers={"DESTINATION": destination.port})
    real.store(instance())

    for port, called, moves_to in ((archive.port, archive.title.name, title), (real.port, "DCMQRSCP", "DESTINATION")):
        ran = dcmtk.move(port, moves_to, *KEYS, called=called)

        assert ran.is_ok, ran
        (received,) = destination.files()
        assert dcmread(received).file_meta.TransferSyntaxUID == arrives
        same_content(encoded(instance()), EXPLICIT, data_set_bytes(received), arrives)
        received.unlink()


def test_what_cannot_be_converted_to_what_was_taken_fails_and_the_rest_goes_on(
    archive: Archive,
    dcmtk: Dcmtk,
    start_storescp: Callable[..., Receiver],
    start_dcmqrscp: Callable[..., RealDcmqrscp],
) -> None:
    """The destination takes RLE for the class, and what is uncompressed is not compressed for it: as dcmqrscp."""
    destination = start_storescp("+xr", title="DESTINATION")
    archive.add_peer(destination.port, title := f"D{destination.port}", proposes="rle")
    archive.store(instance())
    real = start_dcmqrscp("-xr", peers={"DESTINATION": destination.port})
    real.store(instance())

    ours = dcmtk.move(archive.port, title, *KEYS, called=archive.title.name)
    theirs = dcmtk.move(real.port, "DESTINATION", *KEYS, called="DCMQRSCP")

    assert (ours.code, theirs.code) == (ExitCode.CMOVE_ERROR, ExitCode.CMOVE_ERROR), f"{ours}\n{theirs}"
    assert destination.files() == []


def test_a_peer_is_offered_one_context_for_each_sop_class(archive: Archive) -> None:
    ct = "1.2.840.10008.5.1.4.1.1.2"
    archive.store(
        instance(number=1),
        instance(number=2, transfer_syntax=IMPLICIT),
        instance(number=3, SOPClassUID=ct),
    )
    with pynetdicom_scp(transfer_syntaxes=(IMPLICIT,)) as destination:
        peer = archive.add_peer(destination.port, proposes="j2k-lossless")
        with archive.associate(Proposed(STUDY_ROOT_MOVE)) as scu:
            responses = scu.move(STUDY_ROOT_MOVE, identifier(**STUDY), peer)
            scu.release()

    assert [each.status for each in responses] == [0xFF00, 0xFF00, 0xFF00, 0]
    assert {each.transfer_syntax for each in destination.received} == {IMPLICIT}
    proposed = {(each.abstract_syntax, each.transfer_syntaxes) for each in destination.proposed}
    secondary_capture = str(instance().SOPClassUID)
    assert proposed == {(secondary_capture, PROPOSE["j2k-lossless"]), (ct, PROPOSE["j2k-lossless"])}
    assert len(destination.proposed) == 2


def test_a_compressed_study_reaches_a_storescp_that_prefers_it(
    archive: Archive, dcmtk: Dcmtk, start_storescp: Callable[..., Receiver]
) -> None:
    file = BUNDLED_FOLDER / "MR_small_RLE.dcm"
    archive.store_file(file)
    destination = start_storescp("+xr", title="DESTINATION")
    peer = archive.add_peer(destination.port, proposes="rle")
    study = dcmread(file, stop_before_pixels=True).StudyInstanceUID

    ran = dcmtk.move(
        archive.port, peer, "QueryRetrieveLevel=STUDY", f"StudyInstanceUID={study}", called=archive.title.name
    )

    assert ran.is_ok, ran
    assert [_syntax(path) for path in destination.files()] == [RLE]


def _syntax(path: Path) -> str:
    return str(dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID)
