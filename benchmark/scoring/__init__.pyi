from .command import DEFAULT_DATA, loading_options, main, parser, run_options
from .output import write_reports, write_scored
from .passes import planned_passes
from .records import encoder_record, options_record
from .repeat import Origin, Repeat, how_to_repeat, recorded
from .run import score_encoders

__all__ = [
    "DEFAULT_DATA",
    "Origin",
    "Repeat",
    "encoder_record",
    "how_to_repeat",
    "loading_options",
    "main",
    "options_record",
    "parser",
    "planned_passes",
    "recorded",
    "run_options",
    "score_encoders",
    "write_reports",
    "write_scored",
]
