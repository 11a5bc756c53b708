"""THE attribute table: keyword, level, key type and column of every key; all else is derived from it.

The keys of the Query/Retrieve Information Models (PS3.4 C.6.1.1, C.6.2.1). Any other attribute of a stored header is
returned on request, from the level that `level_of` names, but not matched.

Columns follow one rule. A value lies in the column `column` of its level's table; beside a typed date, time or number
its raw text in `<column>_text`; a person name in its three component groups (PS3.5 6.2.1.2) and their folded forms.
Several integers in one attribute are kept as text only, and so are the UIDs and modalities of a study.
"""

from dataclasses import dataclass
from enum import StrEnum

from archive.dicom.levels import EVERY_LEVEL, LEVELS, Level, level_of

__all__ = [
    "ATTRIBUTES",
    "BY_KEYWORD",
    "BY_TAG",
    "EVERY_LEVEL",
    "LEVELS",
    "NAME_GROUPS",
    "UNIQUE_KEYS",
    "Attribute",
    "KeyType",
    "Level",
    "at_level",
    "level_of",
]

NAME_GROUPS = ("alphabetic", "ideographic", "phonetic")  # PS3.5 6.2.1.2
_TEXT_BESIDE = frozenset(("DA", "TM", "IS", "DS"))  # held typed, returned as received


class KeyType(StrEnum):
    """What an SCP does with a key (PS3.4 C.2.2.1); a RETURN key is answered and never matched."""

    UNIQUE = "U"
    REQUIRED = "R"
    OPTIONAL = "O"
    RETURN = "return"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One key. `is_computed`: the archive's own count or list, whatever a received instance says."""

    keyword: str
    tag: int
    vr: str
    level: Level
    key_type: KeyType
    column: str | None
    multi_valued: bool = False
    is_computed: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that holds this attribute, the one to be matched first."""
        if self.column is None:
            return ()
        if self.vr == "PN":
            raw = tuple(f"{self.column}_{group}" for group in NAME_GROUPS)
            return raw + tuple(f"{name}_folded" for name in raw)
        if self.text_column != self.column:
            return (self.column, f"{self.column}_text")
        return (self.column,)

    @property
    def text_column(self) -> str | None:
        """The column with the text as received: what is returned. A person name has three; see `columns`."""
        if self.column and self.vr in _TEXT_BESIDE and not self.multi_valued and not self.is_computed:
            return f"{self.column}_text"
        return self.column


U, R, O, RETURN = KeyType.UNIQUE, KeyType.REQUIRED, KeyType.OPTIONAL, KeyType.RETURN  # noqa: E741 - the standard's letters
PATIENT, STUDY, SERIES, IMAGE = Level
MANY = COMPUTED = True

ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("PatientID", 0x00100020, "LO", PATIENT, U, "patient_id"),
    Attribute("PatientName", 0x00100010, "PN", PATIENT, R, "patient_name"),
    Attribute("IssuerOfPatientID", 0x00100021, "LO", PATIENT, O, "issuer_of_patient_id"),
    Attribute("PatientBirthDate", 0x00100030, "DA", PATIENT, O, "patient_birth_date"),
    Attribute("PatientBirthTime", 0x00100032, "TM", PATIENT, O, "patient_birth_time"),
    Attribute("PatientSex", 0x00100040, "CS", PATIENT, O, "patient_sex"),
    Attribute("OtherPatientIDs", 0x00101000, "LO", PATIENT, O, "other_patient_ids", MANY),
    Attribute("OtherPatientNames", 0x00101001, "PN", PATIENT, O, "other_patient_names", MANY),
    Attribute("EthnicGroup", 0x00102160, "SH", PATIENT, O, "ethnic_group"),
    Attribute("PatientComments", 0x00104000, "LT", PATIENT, O, "patient_comments"),
    Attribute("NumberOfPatientRelatedStudies", 0x00201200, "IS", PATIENT, O, "number_of_studies", False, COMPUTED),
    Attribute("NumberOfPatientRelatedSeries", 0x00201202, "IS", PATIENT, O, "number_of_series", False, COMPUTED),
    Attribute("NumberOfPatientRelatedInstances", 0x00201204, "IS", PATIENT, O, "number_of_instances", False, COMPUTED),
    Attribute("StudyInstanceUID", 0x0020000D, "UI", STUDY, U, "study_instance_uid"),
    Attribute("StudyDate", 0x00080020, "DA", STUDY, R, "study_date"),
    Attribute("StudyTime", 0x00080030, "TM", STUDY, R, "study_time"),
    Attribute("AccessionNumber", 0x00080050, "SH", STUDY, R, "accession_number"),
    Attribute("StudyID", 0x00200010, "SH", STUDY, R, "study_id"),
    Attribute("ReferringPhysicianName", 0x00080090, "PN", STUDY, O, "referring_physician_name"),
    Attribute("StudyDescription", 0x00081030, "LO", STUDY, O, "study_description"),
    Attribute("NameOfPhysiciansReadingStudy", 0x00081060, "PN", STUDY, O, "name_of_physicians_reading_study", MANY),
    Attribute("OtherStudyNumbers", 0x00201070, "IS", STUDY, O, "other_study_numbers", MANY),
    Attribute("AdmittingDiagnosesDescription", 0x00081080, "LO", STUDY, O, "admitting_diagnoses_description", MANY),
    Attribute("PatientAge", 0x00101010, "AS", STUDY, O, "patient_age"),
    Attribute("PatientSize", 0x00101020, "DS", STUDY, O, "patient_size"),
    Attribute("PatientWeight", 0x00101030, "DS", STUDY, O, "patient_weight"),
    Attribute("Occupation", 0x00102180, "SH", STUDY, O, "occupation"),
    Attribute("AdditionalPatientHistory", 0x001021B0, "LT", STUDY, O, "additional_patient_history"),
    Attribute("ModalitiesInStudy", 0x00080061, "CS", STUDY, O, "modalities_in_study", MANY, COMPUTED),
    Attribute("SOPClassesInStudy", 0x00080062, "UI", STUDY, O, "sop_classes_in_study", MANY, COMPUTED),
    Attribute("NumberOfStudyRelatedSeries", 0x00201206, "IS", STUDY, O, "number_of_series", False, COMPUTED),
    Attribute("NumberOfStudyRelatedInstances", 0x00201208, "IS", STUDY, O, "number_of_instances", False, COMPUTED),
    Attribute("SeriesInstanceUID", 0x0020000E, "UI", SERIES, U, "series_instance_uid"),
    Attribute("Modality", 0x00080060, "CS", SERIES, R, "modality"),
    Attribute("SeriesNumber", 0x00200011, "IS", SERIES, R, "series_number"),
    Attribute("SeriesDate", 0x00080021, "DA", SERIES, O, "series_date"),
    Attribute("SeriesTime", 0x00080031, "TM", SERIES, O, "series_time"),
    Attribute("SeriesDescription", 0x0008103E, "LO", SERIES, O, "series_description"),
    Attribute("BodyPartExamined", 0x00180015, "CS", SERIES, O, "body_part_examined"),
    Attribute("ProtocolName", 0x00181030, "LO", SERIES, O, "protocol_name"),
    Attribute("Laterality", 0x00200060, "CS", SERIES, O, "laterality"),
    Attribute("StationName", 0x00081010, "SH", SERIES, O, "station_name"),
    Attribute("InstitutionName", 0x00080080, "LO", SERIES, O, "institution_name"),
    Attribute("Manufacturer", 0x00080070, "LO", SERIES, O, "manufacturer"),
    Attribute("PerformedProcedureStepStartDate", 0x00400244, "DA", SERIES, O, "performed_procedure_step_start_date"),
    Attribute("PerformedProcedureStepStartTime", 0x00400245, "TM", SERIES, O, "performed_procedure_step_start_time"),
    Attribute("PerformingPhysicianName", 0x00081050, "PN", SERIES, O, "performing_physician_name", MANY),
    Attribute("OperatorsName", 0x00081070, "PN", SERIES, O, "operators_name", MANY),
    # Its items are rows of the table series_requests; the whole sequence is returned from the rest of the header.
    Attribute("RequestAttributesSequence", 0x00400275, "SQ", SERIES, O, None),
    Attribute("NumberOfSeriesRelatedInstances", 0x00201209, "IS", SERIES, O, "number_of_instances", False, COMPUTED),
    Attribute("SOPInstanceUID", 0x00080018, "UI", IMAGE, U, "sop_instance_uid"),
    Attribute("InstanceNumber", 0x00200013, "IS", IMAGE, R, "instance_number"),
    Attribute("SOPClassUID", 0x00080016, "UI", IMAGE, O, "sop_class_uid"),
    Attribute("ContentDate", 0x00080023, "DA", IMAGE, O, "content_date"),
    Attribute("ContentTime", 0x00080033, "TM", IMAGE, O, "content_time"),
    Attribute("Rows", 0x00280010, "US", IMAGE, O, "rows"),
    Attribute("Columns", 0x00280011, "US", IMAGE, O, "columns"),
    Attribute("NumberOfFrames", 0x00280008, "IS", IMAGE, O, "number_of_frames"),
    # At every level (PS3.4 C.3.4, C.4.1.1.3.2), so named at the highest.
    Attribute("InstanceAvailability", 0x00080056, "CS", PATIENT, RETURN, None, False, COMPUTED),
    Attribute("RetrieveAETitle", 0x00080054, "AE", PATIENT, RETURN, None, MANY, COMPUTED),
    Attribute("TimezoneOffsetFromUTC", 0x00080201, "SH", PATIENT, RETURN, None),
)

BY_TAG: dict[int, Attribute] = {attribute.tag: attribute for attribute in ATTRIBUTES}
BY_KEYWORD: dict[str, Attribute] = {attribute.keyword: attribute for attribute in ATTRIBUTES}
UNIQUE_KEYS: tuple[Attribute, ...] = tuple(
    next(attribute for attribute in ATTRIBUTES if attribute.level is level and attribute.key_type is U)
    for level in Level
)
_AT_LEVEL = {level: tuple(each for each in ATTRIBUTES if each.level is level) for level in Level}


def at_level(level: Level) -> tuple[Attribute, ...]:
    """The keys of one level, in the order of the table."""
    return _AT_LEVEL[level]
