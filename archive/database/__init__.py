"""The SQL engine, and all that differs between the two dialects."""
