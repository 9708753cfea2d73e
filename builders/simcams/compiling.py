"""The kernels of simulated cameras, compiled beside other work where this machine does not have them yet."""

from __future__ import annotations

from pathlib import Path

from builders.pixels import CompiledBeside

SIMCAMS_KERNELS = CompiledBeside(
    "builders.simcams.stages:chosen_stages", "simcams", Path(__file__).parent, "kernels_*.py"
)
