"""Runtimes that carry out forward passes: the choice, the conversion and the check against torch."""
