from .processing_probe import train_and_test, unfit_for_splits, upright
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
from .scores import score_of, unit_answers, units_of
from .stored_files import can_answer, held_views, tasks_without_views
from .task import Cost, Seconds, Shared, Task, TaskInput, TaskOutcome, of_processings

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
    "of_processings",
    "score_of",
    "select_tasks",
    "tasks_without_views",
    "trace_of",
    "traces",
    "train_and_test",
    "unfit_for_splits",
    "unit_answers",
    "units_of",
    "upright",
    "with_groups",
]
