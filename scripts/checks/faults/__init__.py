"""Untrusted files and broken machines: ``python scripts/checks/faults``."""
