"""SQL: what the archive holds."""
