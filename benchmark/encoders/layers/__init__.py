"""Outputs of an encoder in addition to its embedding: its layers, pooled."""
