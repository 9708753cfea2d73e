"""Processings and parameters as TOML files, which users write and ``presets/`` has examples of."""
