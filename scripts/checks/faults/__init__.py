"""Untrusted files and broken machines: ``python -m scripts.checks.faults``."""
