"""A SQL-backed DICOM archive: patients, studies, series and instances as rows, served over DIMSE."""

__version__ = "0.1.0"
