"""Which passes over the photos tasks need: views of recipes of one kind and equal settings are made together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.options import RunOptions
from benchmark.tasks import Task
from benchmark.views import ViewRecipe
from builders.photos import PhotoSet


@dataclass(frozen=True)
class Pass:
    """Views that are made together, and the tasks that read them."""

    recipe: ViewRecipe
    tasks: tuple[Task, ...]
    """Those whose own recipes were merged into this one, in order."""

    def task(self, name: str) -> Task:
        """One of them by its name."""
        return next(task for task in self.tasks if task.name == name)


def planned_passes(tasks: Sequence[Task], photos: PhotoSet, options: RunOptions) -> list[Pass]:
    """The passes that tasks need, in order of their first tasks; every task is in one of them.

    A task reads the views of its own recipe: another recipe may call its views the same and mean others. Two passes
    that need the same view find it in the same file of the bank.
    """
    found: dict[tuple[str, str], Pass] = {}
    for task in tasks:
        recipe = task.recipe(photos, options)
        which = recipe.kind, json.dumps(recipe.settings(), sort_keys=True)
        known = found.get(which)
        found[which] = Pass(known.recipe.merged(recipe), (*known.tasks, task)) if known else Pass(recipe, (task,))
    return list(found.values())
