from .command import DEFAULT_DATA, loading_options, main, parser, public_command, run_options
from .output import write_reports, write_scored
from .passes import planned_passes
from .records import encoder_record, options_record
from .run import score_encoders

__all__ = [
    "DEFAULT_DATA",
    "encoder_record",
    "loading_options",
    "main",
    "options_record",
    "parser",
    "planned_passes",
    "public_command",
    "run_options",
    "score_encoders",
    "write_reports",
    "write_scored",
]
