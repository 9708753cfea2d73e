"""Outputs of an encoder beside its embedding."""
