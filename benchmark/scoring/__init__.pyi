from .arguments import DEFAULT_DATA, DEFAULT_MODEL
from .asking import Answered, Asked, EncoderSource, NotScored, score_asked
from .command import (
    checked_data,
    listed,
    loading_options,
    parser,
    run_options,
    warn_of_failures,
)
from .erased import Erasing, check_eraser, leaked, near_to, refuse_leaks, stored_hashes
from .estimating import PassTimes, estimate, estimate_text, pass_times, release
from .output import write_reports, write_scored
from .passes import Pass, planned_passes
from .records import encoder_record, options_record
from .repeat import Origin, Repeat, how_to_repeat, recorded
from .run import Scored, score_encoders
from .space import require_space
from .trial_kept import tried
from .voice import Voice, score_rows

__all__ = [
    "DEFAULT_DATA",
    "DEFAULT_MODEL",
    "Answered",
    "Asked",
    "EncoderSource",
    "Erasing",
    "NotScored",
    "Origin",
    "Pass",
    "PassTimes",
    "Repeat",
    "Scored",
    "Voice",
    "check_eraser",
    "checked_data",
    "encoder_record",
    "estimate",
    "estimate_text",
    "how_to_repeat",
    "leaked",
    "listed",
    "loading_options",
    "near_to",
    "options_record",
    "parser",
    "pass_times",
    "planned_passes",
    "recorded",
    "refuse_leaks",
    "release",
    "require_space",
    "run_options",
    "score_asked",
    "score_encoders",
    "score_rows",
    "stored_hashes",
    "tried",
    "warn_of_failures",
    "write_reports",
    "write_scored",
]
