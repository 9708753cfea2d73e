"""Protocols that fit probes, one module each."""
