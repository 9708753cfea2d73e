from .guards import deferred_signals, exit_with_parent, setup_child
from .memory import memory_budget, reserve_for

__all__ = [
    "deferred_signals",
    "exit_with_parent",
    "memory_budget",
    "reserve_for",
    "setup_child",
]
