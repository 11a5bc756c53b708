"""Processes and the port."""
