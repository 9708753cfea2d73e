from .registry import (
    WATCHED,
    Trace,
    all_tasks,
    chosen_processings,
    fitting_tasks,
    select_tasks,
    trace_of,
    traces,
    with_groups,
)
from .task import Task, TaskInput, TaskOutcome

__all__ = [
    "WATCHED",
    "Task",
    "TaskInput",
    "TaskOutcome",
    "Trace",
    "all_tasks",
    "chosen_processings",
    "fitting_tasks",
    "select_tasks",
    "trace_of",
    "traces",
    "with_groups",
]
