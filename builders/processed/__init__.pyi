from .assignment import correlation_of, expected_counts
from .processed_rows import ProcessingSettings, settings_of
from .recipe import RECIPE_FOLDER, write_recipe

__all__ = [
    "RECIPE_FOLDER",
    "ProcessingSettings",
    "correlation_of",
    "expected_counts",
    "settings_of",
    "write_recipe",
]
