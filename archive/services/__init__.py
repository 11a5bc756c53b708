"""PS3.4 service classes over DIMSE."""
