"""PS3.4 C.2: what is being asked? No SQL, no wire."""
