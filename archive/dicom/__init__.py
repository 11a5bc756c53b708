"""PS3.5, PS3.6, PS3.10: what do these bytes say? Pure, no I/O."""
