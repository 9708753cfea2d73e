from .recipe import RECIPE_FOLDER, write_recipe

__all__ = [
    "RECIPE_FOLDER",
    "write_recipe",
]
