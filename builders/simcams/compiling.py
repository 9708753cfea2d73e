"""The kernels of simulated cameras, compiled beside other work where this machine does not have them yet."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from builders.pixels import CompiledBeside


@functools.cache
def _marker() -> str:
    """With a hash of the kernels' files."""
    files = sorted(Path(__file__).parent.glob("kernels_*.py"))
    return f"simcams-{hashlib.sha256(b''.join(file.read_bytes() for file in files)).hexdigest()[:16]}"


SIMCAMS_KERNELS = CompiledBeside("builders.simcams.stages:chosen_stages", _marker)
