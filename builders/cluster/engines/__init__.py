"""Ranks on many machines by datatrove's executors: Slurm, Ray, and jobs of the Hugging Face Hub.

Each task of an executor is one process, ``camtrace work PLAN --rank ...``, for the ranks that it is given. What is done
is what the markers of the plan say, whichever engine did it; the executors' own records serve one submission and lie in
a folder of their own.
"""

from __future__ import annotations

from collections.abc import Callable

from builders.cluster.engines.executors import Submission
from builders.cluster.engines.hub_jobs import on_jobs
from builders.cluster.engines.ray import on_ray
from builders.cluster.engines.slurm import on_slurm

Engine = Callable[[Submission], str]
"""Starts the ranks; what there is to be said of it. Slurm's comes back at once, the others' when all tasks ended."""

ENGINES: dict[str, Engine] = {"slurm": on_slurm, "ray": on_ray, "jobs": on_jobs}
"""By name, beside ``local``."""
