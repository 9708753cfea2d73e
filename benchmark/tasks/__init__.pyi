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
from .stored_files import can_answer, held_views, tasks_without_views
from .task import Cost, Seconds, Shared, Task, TaskInput, TaskOutcome

__all__ = [
    "WATCHED",
    "Cost",
    "Seconds",
    "Shared",
    "Task",
    "TaskInput",
    "TaskOutcome",
    "Trace",
    "all_tasks",
    "can_answer",
    "chosen_processings",
    "fitting_tasks",
    "held_views",
    "select_tasks",
    "tasks_without_views",
    "trace_of",
    "traces",
    "with_groups",
]
