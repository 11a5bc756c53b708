"""The faces of DCMTK's programs: their options in their spelling, their messages, their exit codes."""
