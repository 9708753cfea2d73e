"""Preprocessing: steps, modes, and the comparison with the library's transform."""
