"""Checks that take long or need other software, each run by ``python scripts/checks/NAME.py``."""
