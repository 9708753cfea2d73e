"""Admission of networks: each tensor that an embedding reads came from the checkpoint, and each load gives the same."""
