from .arguments import (
    DEFAULT_DATA,
    DEFAULT_MODEL,
    checked_data,
    default_arguments,
    initial_value,
    listed,
    loading_options,
    to_run_options,
)
from .presets import CHOICES, PRESETS, STUDY_PRESET, choices, preset_label
from .roles import GROUPS, Option
from .run_options import (
    DTYPES,
    MIN_USABLE,
    OPTIONS,
    PREPROCESS,
    RUNTIMES,
    RunOptions,
    automatic_runtime,
    default_cache,
)

__all__ = [
    "CHOICES",
    "DEFAULT_DATA",
    "DEFAULT_MODEL",
    "DTYPES",
    "GROUPS",
    "MIN_USABLE",
    "OPTIONS",
    "PREPROCESS",
    "PRESETS",
    "RUNTIMES",
    "STUDY_PRESET",
    "Option",
    "RunOptions",
    "automatic_runtime",
    "checked_data",
    "choices",
    "default_arguments",
    "default_cache",
    "initial_value",
    "listed",
    "loading_options",
    "preset_label",
    "to_run_options",
]
