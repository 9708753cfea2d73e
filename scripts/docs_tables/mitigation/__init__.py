"""The parts of ``scripts/mitigation.py``."""
