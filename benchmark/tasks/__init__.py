"""The questions: one file a family, ``registry.py`` names them all.

A task owns its views, its arithmetic, its answers and what its metrics mean.
"""
