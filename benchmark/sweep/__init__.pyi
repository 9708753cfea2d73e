from .command import chosen_specs, parser, run_command
from .run import Row, sweep_text

__all__ = [
    "Row",
    "chosen_specs",
    "parser",
    "run_command",
    "sweep_text",
]
