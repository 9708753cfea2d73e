from .presets import CHOICES, PRESETS, STUDY_PRESET, choices, preset_label
from .roles import Option
from .run_options import (
    DTYPES,
    GROUPS,
    OPTIONS,
    PREPROCESS,
    RUNTIMES,
    RunOptions,
    automatic_runtime,
    default_cache,
)

__all__ = [
    "CHOICES",
    "DTYPES",
    "GROUPS",
    "OPTIONS",
    "PREPROCESS",
    "PRESETS",
    "RUNTIMES",
    "STUDY_PRESET",
    "Option",
    "RunOptions",
    "automatic_runtime",
    "choices",
    "default_cache",
    "preset_label",
]
