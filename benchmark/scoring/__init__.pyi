from .asking import Answered, Asked, EncoderSource, NotScored, score_asked
from .command import (
    DEFAULT_DATA,
    DEFAULT_MODEL,
    checked_data,
    listed,
    loading_options,
    parser,
    run_options,
    warn_of_failures,
)
from .estimating import estimate, estimate_text, release
from .jobs import sentence
from .output import write_reports, write_scored
from .passes import planned_passes
from .records import encoder_record, options_record
from .repeat import Origin, Repeat, how_to_repeat, recorded
from .run import Scored, score_encoders
from .voice import Voice, score_rows

__all__ = [
    "DEFAULT_DATA",
    "DEFAULT_MODEL",
    "Answered",
    "Asked",
    "EncoderSource",
    "NotScored",
    "Origin",
    "Repeat",
    "Scored",
    "Voice",
    "checked_data",
    "encoder_record",
    "estimate",
    "estimate_text",
    "how_to_repeat",
    "listed",
    "loading_options",
    "options_record",
    "parser",
    "planned_passes",
    "recorded",
    "release",
    "run_options",
    "score_asked",
    "score_encoders",
    "score_rows",
    "sentence",
    "warn_of_failures",
    "write_reports",
    "write_scored",
]
