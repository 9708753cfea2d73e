"""Many encoders on the same photos: shared passes, estimates beforehand, rows for what failed.

Each row is a result of its own that a plain run would give.
"""
