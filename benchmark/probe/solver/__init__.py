"""The solver of linear probes."""
