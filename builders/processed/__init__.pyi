from .assignment import correlation_of, expected_counts
from .recipe import RECIPE_FOLDER, write_recipe
from .rows import ProcessingSettings, settings_of

__all__ = [
    "RECIPE_FOLDER",
    "ProcessingSettings",
    "correlation_of",
    "expected_counts",
    "settings_of",
    "write_recipe",
]
