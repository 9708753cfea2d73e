from .deadlines import DeadlineExceeded, run_with_deadline
from .guards import deferred_signals, exit_with_parent, flush_outputs, setup_child
from .memory import child_environment, in_this_context, memory_budget, reserve_for
from .pool import CPUS, WorkerKilled, default_workers, refuse_unguarded_main, run_in_pool
from .progress import heartbeat, notice, progress_bar, stage, step_bar
from .sandbox import Sandbox, SandboxError, WorkerLost, map_sandboxed

__all__ = [
    "CPUS",
    "DeadlineExceeded",
    "Sandbox",
    "SandboxError",
    "WorkerKilled",
    "WorkerLost",
    "child_environment",
    "default_workers",
    "deferred_signals",
    "exit_with_parent",
    "flush_outputs",
    "heartbeat",
    "in_this_context",
    "map_sandboxed",
    "memory_budget",
    "notice",
    "progress_bar",
    "refuse_unguarded_main",
    "reserve_for",
    "run_in_pool",
    "run_with_deadline",
    "setup_child",
    "stage",
    "step_bar",
]
