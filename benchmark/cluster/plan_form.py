"""The form of the notes and units of a plan, which is a file that others may have changed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from builders.cluster import Plan
from builders.errors import DataError
from builders.untrusted import describe_error

_WORD = "task"


@dataclass(frozen=True)
class TaskUnit:
    """A task of one encoder on one photo set, or a part of its queries.

    >>> TaskUnit(0, 2, "knn/jpeg", 1, 3).text
    'task 0 2 1/3 knn/jpeg'
    >>> TaskUnit.of("task 0 2 1/3 knn/jpeg")
    TaskUnit(number=0, encoder=2, task='knn/jpeg', part=1, parts=3)
    """

    number: int
    """Of the photo set."""
    encoder: int
    """Position of the encoder among those of all groups."""
    task: str
    part: int
    parts: int
    """0 for the whole task."""

    @property
    def text(self) -> str:
        """The unit's name in a plan."""
        return f"{_WORD} {self.number} {self.encoder} {self.part}/{self.parts} {self.task}"

    @classmethod
    def of(cls, text: str) -> TaskUnit:
        """The unit of a name."""
        _, number, encoder, part, task = text.split(" ", 4)
        at, _, parts = part.partition("/")
        return cls(int(number), int(encoder), task, int(at), int(parts))

    @staticmethod
    def names_one(text: str) -> bool:
        """Whether a unit of a plan is one of tasks, not of blocks."""
        return text.startswith(f"{_WORD} ")


def check_plan(plan: Plan, kinds: Collection[str]) -> None:
    """Check what work and ``finish`` take for granted.

    Args:
        plan: as read.
        kinds: of work.

    Raises:
        DataError: a note is absent, or a unit names what the plan has not.
    """
    try:
        problem = "" if plan.kind in kinds else f"the kind {plan.kind[:40]!r} is none that is planned"
        if not problem and plan.kind == "build":
            problem = _build_problem(plan.notes)
        elif not problem:
            problem = _notes_problem(plan.notes) or next(filter(None, map(_UnitCheck(plan.notes), _units(plan))), "")
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        problem = describe_error(error)
    if problem:
        raise DataError(f"the plan of {plan.output} is none that camtrace wrote ({problem}); plan again")


def _units(plan: Plan) -> list[str]:
    return [unit for rank in plan.ranks for unit in rank.units]


def _build_problem(notes: Any) -> str:
    """Builds whose ranks are no shards have no sizes."""
    sizes = notes.get("sizes", {})
    sound = isinstance(sizes, dict) and all(isinstance(size, int) and size > 0 for size in sizes.values())
    return "" if sound else "the sizes of its shards are no numbers"


def _notes_problem(notes: Any) -> str:
    """Why notes of a run are none; raises any of the errors of absent or other values."""
    specs = [spec for group in notes["groups"] for spec in group]
    texts = [notes["device"], *specs, *notes["runtimes"].values()]
    if not specs or not all(isinstance(text, str) for text in texts):
        return "its encoders have no names"
    for name, key in notes["keys"].items():
        number, _, spec = name.partition("/")
        if spec not in specs or int(number) < 0:
            return f"a key of {name[:40]!r}, which it does not have"
        encoder = key["encoder"]
        if not isinstance(key["photos"]["bytes"], str) or not isinstance(encoder["id"], str):
            return f"the key of {name[:40]!r} names no encoder or photos"
        if type(encoder["dimension"]) is not int or not 0 < encoder["dimension"] < 1 << 24:
            return f"the key of {name[:40]!r} has no dimension"
        size = notes["inputs"][name]
        if size is not None and not (len(size) == 2 and all(type(side) is int for side in size)):
            return f"the input of {name[:40]!r} has no size"
    if not isinstance(notes["bytes"], list) or not isinstance(notes.get("answers", {}), dict):
        return "it has no hashes of photos"
    return ""


class _UnitCheck:
    """Says why a unit is none of a plan; empty for one that is."""

    def __init__(self, notes: Any) -> None:
        self._groups, self._keys = notes["groups"], notes["keys"]
        self._specs = [spec for group in self._groups for spec in group]

    def __call__(self, unit: str) -> str:
        if TaskUnit.names_one(unit):
            task = TaskUnit.of(unit)
            specs = [self._specs[task.encoder]] if task.encoder >= 0 else []
            sound = 0 <= task.part < max(1, task.parts) and "/" in task.task and ".." not in task.task
            number = task.number
        else:
            number, group, block = map(int, unit.split("/"))
            specs, sound = self._groups[group] if group >= 0 else [], block >= 0
        known = bool(specs) and all(f"{number}/{spec}" in self._keys for spec in specs)
        return "" if sound and known else f"it has no unit {unit[:60]!r}"
