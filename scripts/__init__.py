"""What developers and the Makefile run; no part of the installed archive."""
