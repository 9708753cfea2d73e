"""Preprocessing: steps, modes, and the check against the library's own transform."""
