"""What a C-GET asks to be sent: as many storage classes as fit, and those that hospitals have."""

from archive.dicom.retrieved_sop_classes import MOST_SOP_CLASSES, RETRIEVED_SOP_CLASSES
from archive.dicom.sop_classes import NON_PATIENT_SOP_CLASSES, STORAGE_SOP_CLASSES


def test_they_fill_an_association() -> None:
    assert len(RETRIEVED_SOP_CLASSES) == len(set(RETRIEVED_SOP_CLASSES)) == MOST_SOP_CLASSES


def test_they_are_storage_classes_of_patients() -> None:
    assert set(RETRIEVED_SOP_CLASSES) <= set(STORAGE_SOP_CLASSES) - NON_PATIENT_SOP_CLASSES


def test_what_devices_make_is_among_them() -> None:
    made = {STORAGE_SOP_CLASSES[uid] for uid in RETRIEVED_SOP_CLASSES}

    assert made >= {
        "CTImageStorage",
        "MRImageStorage",
        "UltrasoundMultiFrameImageStorage",
        "BreastTomosynthesisImageStorage",
        "BreastProjectionXRayImageStorageForPresentation",
        "SegmentationStorage",
        "LabelMapSegmentationStorage",
        "ParametricMapStorage",
        "EncapsulatedPDFStorage",
        "RTDoseStorage",
        "RadiopharmaceuticalRadiationDoseSRStorage",
    }
