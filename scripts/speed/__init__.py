"""Every speed figure: ``python scripts/speed``. One module for each part; ``measure.py`` is the harness of all."""
