"""Ranks on many machines by datatrove's executors: Slurm, Ray, and jobs of the Hugging Face Hub.

Each task of an executor is a process, ``camtrace work PLAN --rank ...``, with some of the ranks. The markers of a plan
decide which ranks are done, whichever engine ran them; the records of an executor serve a single submission and have
a separate folder.
"""

from __future__ import annotations

from collections.abc import Callable

from builders.cluster.engines.executors import Submission
from builders.cluster.engines.hub_jobs import on_jobs
from builders.cluster.engines.ray import on_ray
from builders.cluster.engines.slurm import on_slurm

Engine = Callable[[Submission], str]
"""Starts ranks and returns a line about them: Slurm's engine at once, the others when all tasks have ended."""

ENGINES: dict[str, Engine] = {"slurm": on_slurm, "ray": on_ray, "jobs": on_jobs}
"""By name, without ``local``."""
