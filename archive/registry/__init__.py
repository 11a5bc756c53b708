"""SQL: what the administrator decided."""
