"""Tests of the archive: fixtures in `fix_*.py`, one folder per kind of test."""
