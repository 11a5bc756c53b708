"""The faces: command lines."""
