from .command import chosen_specs, open_jobs, parser, run_command, settle_preset
from .run import Row, SweepJob, groups_of, sweep_text

__all__ = [
    "Row",
    "SweepJob",
    "chosen_specs",
    "groups_of",
    "open_jobs",
    "parser",
    "run_command",
    "settle_preset",
    "sweep_text",
]
