from .registry import WATCHED, all_tasks, fitting_tasks, select_tasks
from .task import Task, TaskInput, TaskOutcome
from .tracing import Trace, trace_of, traces

__all__ = [
    "WATCHED",
    "Task",
    "TaskInput",
    "TaskOutcome",
    "Trace",
    "all_tasks",
    "fitting_tasks",
    "select_tasks",
    "trace_of",
    "traces",
]
