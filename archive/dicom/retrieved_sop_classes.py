"""The storage SOP Classes that a C-GET asks to be sent: as many as an association has room for beside the C-GET itself.

Left out are those of templates and protocols that belong to no patient, of security (DICOS) and of material testing
(DICONDE), drafts that became another class, and the youngest ones, which few devices make. What DCMTK's getscu proposes
is among those that stay (a test says so).
"""

from archive.dicom.sop_classes import NON_PATIENT_SOP_CLASSES, STORAGE_SOP_CLASSES

MOST_SOP_CLASSES = 127  # presentation contexts have odd numbers from 1 to 255 (PS3.8 9.3.2.2); one is the C-GET's

_ROOT = "1.2.840.10008.5.1.4."
_LEFT_OUT = (
    *(f"1.1.501.{number}" for number in ("1", "2.1", "2.2", "3", "4", "5", "6")),  # DICOS
    *(f"1.1.601.{number}" for number in range(1, 6)),  # DICONDE
    *("1.1.9.1", "1.1.88.1", "1.1.88.2", "1.1.88.3", "1.1.88.4", "34.1"),  # drafts: waveform, SR, RT delivery
    *(f"1.1.481.{number}" for number in range(10, 26)),  # second generation of RT
    "34.10",  # RT brachy application setup delivery instruction
    *("1.1.9.1.4", "1.1.9.6.2", "1.1.9.8.1", "1.1.9.100.1", "1.1.9.100.2"),  # waveforms, how they are shown
    *(f"1.1.9.7.{number}" for number in range(1, 5)),  # EEG, EMG, EOG
    *(f"1.1.11.{number}" for number in range(6, 13)),  # volumetric and other presentation states
    *("1.1.200.2", "1.1.200.8"),  # performed procedure protocols
    *("1.1.77.1.5.5", "1.1.77.1.5.6", "1.1.77.1.5.7", "1.1.77.1.5.8", "1.1.82.1"),  # ophthalmology
    *("1.1.77.1.8", "1.1.77.1.9", "1.1.6.3"),  # confocal microscopy, photoacoustic
    *("1.1.104.3", "1.1.104.4", "1.1.104.5"),  # encapsulated STL, OBJ, MTL
    *("1.1.66.6", "1.1.66.8"),  # tractography, height maps
    *("1.1.88.35", "1.1.88.72", "1.1.88.73", "1.1.88.74", "1.1.88.75", "1.1.88.76", "1.1.88.77"),  # SR
    *("1.1.90.1", "1.1.91.1"),  # content assessment, bulk annotations
)
_OUT = NON_PATIENT_SOP_CLASSES | {_ROOT + number for number in _LEFT_OUT}

RETRIEVED_SOP_CLASSES: tuple[str, ...] = tuple(uid for uid in STORAGE_SOP_CLASSES if uid not in _OUT)
