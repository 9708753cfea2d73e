"""Checks that take long or need other software, each run by ``python -m scripts.checks.NAME``."""
