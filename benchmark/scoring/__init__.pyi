from .answers.banks import AnswerBank, answer_banks
from .cache import ALL, KINDS, chosen, clear, damaged, entries
from .collect import Computation, EncoderRun, jobs_on
from .erase import Erased, EraseRequest, erase_trace, erased_record, save_erased
from .erase_fit import LabelledRows, choose_options
from .estimating.clocks import so_far
from .estimating.measuring import estimate
from .estimating.pass_costs import PassTimes, pass_times
from .estimating.task_costs import task_times
from .estimating.text import estimate_text
from .output import (
    Row,
    Scored,
    begin_drawing,
    failures_by_pair,
    sweep_text,
    warn_of_failures,
    write_reports,
    write_scored,
)
from .passes import Pass, input_size, planned_passes
from .reproduce import Invocation, Repeat, device_name, encoder_record, options_record, recorded, reproduce_command
from .request import (
    ENCODERS_TOGETHER,
    ByRanks,
    EncoderSource,
    OpenedSet,
    Request,
    any_answers,
    chosen_specs,
    groups_of,
    open_limited,
    open_sets,
    settle_preset,
    with_semantics,
)
from .run import score_encoders
from .runner import Failed, Log, RunOutcome, run_request
from .store_paths import free_space, require_space, size
from .tasks_run import OUTCOME, CachedOutcome, Job, outcome_entry, run_jobs
from .trial import cached_trials

__all__ = [
    "ALL",
    "ENCODERS_TOGETHER",
    "KINDS",
    "OUTCOME",
    "AnswerBank",
    "ByRanks",
    "CachedOutcome",
    "Computation",
    "EncoderRun",
    "EncoderSource",
    "EraseRequest",
    "Erased",
    "Failed",
    "Invocation",
    "Job",
    "LabelledRows",
    "Log",
    "OpenedSet",
    "Pass",
    "PassTimes",
    "Repeat",
    "Request",
    "Row",
    "RunOutcome",
    "Scored",
    "answer_banks",
    "any_answers",
    "begin_drawing",
    "cached_trials",
    "choose_options",
    "chosen",
    "chosen_specs",
    "clear",
    "damaged",
    "device_name",
    "encoder_record",
    "entries",
    "erase_trace",
    "erased_record",
    "estimate",
    "estimate_text",
    "failures_by_pair",
    "free_space",
    "groups_of",
    "input_size",
    "jobs_on",
    "open_limited",
    "open_sets",
    "options_record",
    "outcome_entry",
    "pass_times",
    "planned_passes",
    "recorded",
    "reproduce_command",
    "require_space",
    "run_jobs",
    "run_request",
    "save_erased",
    "score_encoders",
    "settle_preset",
    "size",
    "so_far",
    "sweep_text",
    "task_times",
    "warn_of_failures",
    "with_semantics",
    "write_reports",
    "write_scored",
]
