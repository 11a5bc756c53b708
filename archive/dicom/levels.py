"""The level of the information model that an attribute describes, by the modules of PS3.3.

The Patient IE modules (C.7.1), the General and Patient Study modules (C.7.2), and the General Series and General
Equipment modules (C.7.3.1, C.7.5.1), with their clinical trial companions. What is in none of them may differ from
instance to instance and so belongs to the IMAGE level; Frame of Reference (C.7.4.1) too, as old series mix several.
"""

from enum import IntEnum


class Level(IntEnum):
    """Query/Retrieve Level (PS3.4 C.3): the higher, the smaller."""

    PATIENT = 0
    STUDY = 1
    SERIES = 2
    IMAGE = 3


# They say how the other values are to be read, so each level's attributes come with them (PS3.3 C.12.1.1.2, C.12.1).
EVERY_LEVEL = frozenset(
    (
        0x00080005,  # SpecificCharacterSet
        0x00080201,  # TimezoneOffsetFromUTC
    )
)

_PATIENT_TAGS = frozenset(
    (
        0x00081120,  # ReferencedPatientSequence
        0x00100010,  # PatientName
        0x00100020,  # PatientID
        0x00100021,  # IssuerOfPatientID
        0x00100022,  # TypeOfPatientID
        0x00100024,  # IssuerOfPatientIDQualifiersSequence
        0x00100026,  # SourcePatientGroupIdentificationSequence
        0x00100027,  # GroupOfPatientsIdentificationSequence
        0x00100030,  # PatientBirthDate
        0x00100032,  # PatientBirthTime
        0x00100033,  # PatientBirthDateInAlternativeCalendar
        0x00100034,  # PatientDeathDateInAlternativeCalendar
        0x00100035,  # PatientAlternativeCalendar
        0x00100040,  # PatientSex
        0x00100050,  # PatientInsurancePlanCodeSequence
        0x00100101,  # PatientPrimaryLanguageCodeSequence
        0x00100200,  # QualityControlSubject
        0x00100212,  # StrainDescription
        0x00100213,  # StrainNomenclature
        0x00100216,  # StrainStockSequence
        0x00100218,  # StrainAdditionalInformation
        0x00100219,  # StrainCodeSequence
        0x00100221,  # GeneticModificationsSequence
        0x00101000,  # OtherPatientIDs
        0x00101001,  # OtherPatientNames
        0x00101002,  # OtherPatientIDsSequence
        0x00101005,  # PatientBirthName
        0x00101040,  # PatientAddress
        0x00101060,  # PatientMotherBirthName
        0x00101080,  # MilitaryRank
        0x00101081,  # BranchOfService
        0x00101090,  # MedicalRecordLocator
        0x00101100,  # ReferencedPatientPhotoSequence
        0x00102150,  # CountryOfResidence
        0x00102152,  # RegionOfResidence
        0x00102154,  # PatientTelephoneNumbers
        0x00102155,  # PatientTelecomInformation
        0x00102160,  # EthnicGroup
        0x00102161,  # EthnicGroupCodeSequence
        0x001021F0,  # PatientReligiousPreference
        0x00102201,  # PatientSpeciesDescription
        0x00102202,  # PatientSpeciesCodeSequence
        0x00102292,  # PatientBreedDescription
        0x00102293,  # PatientBreedCodeSequence
        0x00102294,  # BreedRegistrationSequence
        0x00102297,  # ResponsiblePerson
        0x00102298,  # ResponsiblePersonRole
        0x00102299,  # ResponsibleOrganization
        0x00104000,  # PatientComments
        0x00120010,  # ClinicalTrialSponsorName
        0x00120020,  # ClinicalTrialProtocolID
        0x00120021,  # ClinicalTrialProtocolName
        0x00120022,  # IssuerOfClinicalTrialProtocolID
        0x00120023,  # OtherClinicalTrialProtocolIDsSequence
        0x00120030,  # ClinicalTrialSiteID
        0x00120031,  # ClinicalTrialSiteName
        0x00120032,  # IssuerOfClinicalTrialSiteID
        0x00120040,  # ClinicalTrialSubjectID
        0x00120041,  # IssuerOfClinicalTrialSubjectID
        0x00120042,  # ClinicalTrialSubjectReadingID
        0x00120043,  # IssuerOfClinicalTrialSubjectReadingID
        0x00120062,  # PatientIdentityRemoved
        0x00120063,  # DeidentificationMethod
        0x00120064,  # DeidentificationMethodCodeSequence
        0x00120081,  # ClinicalTrialProtocolEthicsCommitteeName
        0x00120082,  # ClinicalTrialProtocolEthicsCommitteeApprovalNumber
        0x00201200,  # NumberOfPatientRelatedStudies
        0x00201202,  # NumberOfPatientRelatedSeries
        0x00201204,  # NumberOfPatientRelatedInstances
    )
)

_STUDY_TAGS = frozenset(
    (
        0x00080020,  # StudyDate
        0x00080030,  # StudyTime
        0x00080050,  # AccessionNumber
        0x00080051,  # IssuerOfAccessionNumberSequence
        0x00080061,  # ModalitiesInStudy
        0x00080062,  # SOPClassesInStudy
        0x00080063,  # AnatomicRegionsInStudyCodeSequence
        0x00080090,  # ReferringPhysicianName
        0x00080092,  # ReferringPhysicianAddress
        0x00080094,  # ReferringPhysicianTelephoneNumbers
        0x00080096,  # ReferringPhysicianIdentificationSequence
        0x0008009C,  # ConsultingPhysicianName
        0x0008009D,  # ConsultingPhysicianIdentificationSequence
        0x00081030,  # StudyDescription
        0x00081032,  # ProcedureCodeSequence
        0x00081048,  # PhysiciansOfRecord
        0x00081049,  # PhysiciansOfRecordIdentificationSequence
        0x00081060,  # NameOfPhysiciansReadingStudy
        0x00081062,  # PhysiciansReadingStudyIdentificationSequence
        0x00081080,  # AdmittingDiagnosesDescription
        0x00081084,  # AdmittingDiagnosesCodeSequence
        0x00081110,  # ReferencedStudySequence
        0x00101010,  # PatientAge
        0x00101020,  # PatientSize
        0x00101021,  # PatientSizeCodeSequence
        0x00101022,  # PatientBodyMassIndex
        0x00101023,  # MeasuredAPDimension
        0x00101024,  # MeasuredLateralDimension
        0x00101030,  # PatientWeight
        0x00102000,  # MedicalAlerts
        0x00102110,  # Allergies
        0x00102180,  # Occupation
        0x001021A0,  # SmokingStatus
        0x001021B0,  # AdditionalPatientHistory
        0x001021C0,  # PregnancyStatus
        0x001021D0,  # LastMenstrualDate
        0x00102203,  # PatientSexNeutered
        0x00120050,  # ClinicalTrialTimePointID
        0x00120051,  # ClinicalTrialTimePointDescription
        0x00120052,  # LongitudinalTemporalOffsetFromEvent
        0x00120053,  # LongitudinalTemporalEventType
        0x00120054,  # ClinicalTrialTimePointTypeCodeSequence
        0x00120055,  # IssuerOfClinicalTrialTimePointID
        0x00120083,  # ConsentForClinicalTrialUseSequence
        0x0020000D,  # StudyInstanceUID
        0x00200010,  # StudyID
        0x00201070,  # OtherStudyNumbers
        0x00201206,  # NumberOfStudyRelatedSeries
        0x00201208,  # NumberOfStudyRelatedInstances
        0x0032000A,  # StudyStatusID
        0x0032000C,  # StudyPriorityID
        0x00320032,  # StudyVerifiedDate
        0x00320033,  # StudyVerifiedTime
        0x00320034,  # StudyReadDate
        0x00320035,  # StudyReadTime
        0x00321030,  # ReasonForStudy
        0x00321031,  # RequestingPhysicianIdentificationSequence
        0x00321032,  # RequestingPhysician
        0x00321033,  # RequestingService
        0x00321034,  # RequestingServiceCodeSequence
        0x00321050,  # StudyCompletionDate
        0x00321051,  # StudyCompletionTime
        0x00321060,  # RequestedProcedureDescription
        0x00321064,  # RequestedProcedureCodeSequence
        0x00321066,  # ReasonForVisit
        0x00321067,  # ReasonForVisitCodeSequence
        0x00324000,  # StudyComments
        0x00380010,  # AdmissionID
        0x00380014,  # IssuerOfAdmissionIDSequence
        0x00380020,  # AdmittingDate
        0x00380021,  # AdmittingTime
        0x00380050,  # SpecialNeeds
        0x00380060,  # ServiceEpisodeID
        0x00380062,  # ServiceEpisodeDescription
        0x00380064,  # IssuerOfServiceEpisodeIDSequence
        0x00380300,  # CurrentPatientLocation
        0x00380500,  # PatientState
        0x00384000,  # VisitComments
        0x00401012,  # ReasonForPerformedProcedureCodeSequence
    )
)

_SERIES_TAGS = frozenset(
    (
        0x00080021,  # SeriesDate
        0x00080031,  # SeriesTime
        0x00080060,  # Modality
        0x00080070,  # Manufacturer
        0x00080080,  # InstitutionName
        0x00080081,  # InstitutionAddress
        0x00080082,  # InstitutionCodeSequence
        0x00081010,  # StationName
        0x0008103E,  # SeriesDescription
        0x0008103F,  # SeriesDescriptionCodeSequence
        0x00081040,  # InstitutionalDepartmentName
        0x00081041,  # InstitutionalDepartmentTypeCodeSequence
        0x00081050,  # PerformingPhysicianName
        0x00081052,  # PerformingPhysicianIdentificationSequence
        0x00081070,  # OperatorsName
        0x00081072,  # OperatorIdentificationSequence
        0x00081090,  # ManufacturerModelName
        0x00081111,  # ReferencedPerformedProcedureStepSequence
        0x00081250,  # RelatedSeriesSequence
        0x00102210,  # AnatomicalOrientationType
        0x00120060,  # ClinicalTrialCoordinatingCenterName
        0x00120071,  # ClinicalTrialSeriesID
        0x00120072,  # ClinicalTrialSeriesDescription
        0x00120073,  # IssuerOfClinicalTrialSeriesID
        0x00180015,  # BodyPartExamined
        0x00181000,  # DeviceSerialNumber
        0x00181002,  # DeviceUID
        0x00181008,  # GantryID
        0x0018100A,  # UDISequence
        0x0018100B,  # ManufacturerDeviceClassUID
        0x00181020,  # SoftwareVersions
        0x00181030,  # ProtocolName
        0x00181050,  # SpatialResolution
        0x00181200,  # DateOfLastCalibration
        0x00181201,  # TimeOfLastCalibration
        0x00181204,  # DateOfManufacture
        0x00181205,  # DateOfInstallation
        0x00185100,  # PatientPosition
        0x0020000E,  # SeriesInstanceUID
        0x00200011,  # SeriesNumber
        0x00200060,  # Laterality
        0x00201209,  # NumberOfSeriesRelatedInstances
        0x00280108,  # SmallestPixelValueInSeries
        0x00280109,  # LargestPixelValueInSeries
        0x00400244,  # PerformedProcedureStepStartDate
        0x00400245,  # PerformedProcedureStepStartTime
        0x00400250,  # PerformedProcedureStepEndDate
        0x00400251,  # PerformedProcedureStepEndTime
        0x00400253,  # PerformedProcedureStepID
        0x00400254,  # PerformedProcedureStepDescription
        0x00400260,  # PerformedProtocolCodeSequence
        0x00400275,  # RequestAttributesSequence
        0x00400280,  # CommentsOnThePerformedProcedureStep
        0x00541000,  # SeriesType
        0x300A0700,  # TreatmentSessionUID
    )
)

LEVELS: dict[int, Level] = {
    **dict.fromkeys(_PATIENT_TAGS | EVERY_LEVEL, Level.PATIENT),
    **dict.fromkeys(_STUDY_TAGS, Level.STUDY),
    **dict.fromkeys(_SERIES_TAGS, Level.SERIES),
}


def level_of(tag: int) -> Level:
    """The level that any attribute describes; PATIENT, the first, for those of `EVERY_LEVEL`."""
    return LEVELS.get(tag, Level.IMAGE)
