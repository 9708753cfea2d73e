"""Tiny random checkpoints of many families, with their embedding by the library's own classes called by hand."""
