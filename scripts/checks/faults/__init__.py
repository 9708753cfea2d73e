"""The parts of ``scripts/hostile.py``: corpora of hostile inputs, and machines that break in the middle."""
