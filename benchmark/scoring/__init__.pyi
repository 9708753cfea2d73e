from .asking import Answered, Asked, NotScored, score_asked
from .command import (
    DEFAULT_DATA,
    DEFAULT_MODEL,
    checked_data,
    listed,
    loading_options,
    parser,
    public_command,
    public_location,
    run_options,
    warn_of_failures,
    words_of,
)
from .output import write_reports, write_scored
from .records import encoder_record, options_record
from .run import Scored, merged_recipes, score_encoders
from .voice import Voice, score_rows

__all__ = [
    "DEFAULT_DATA",
    "DEFAULT_MODEL",
    "Answered",
    "Asked",
    "NotScored",
    "Scored",
    "Voice",
    "checked_data",
    "encoder_record",
    "listed",
    "loading_options",
    "merged_recipes",
    "options_record",
    "parser",
    "public_command",
    "public_location",
    "run_options",
    "score_asked",
    "score_encoders",
    "score_rows",
    "warn_of_failures",
    "words_of",
    "write_reports",
    "write_scored",
]
