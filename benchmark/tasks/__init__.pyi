from .registry import all_tasks, fitting_tasks, select_tasks
from .task import Task, TaskInput, TaskOutcome

__all__ = [
    "Task",
    "TaskInput",
    "TaskOutcome",
    "all_tasks",
    "fitting_tasks",
    "select_tasks",
]
