"""Checking that a target, and this machine, are ready for imports."""
