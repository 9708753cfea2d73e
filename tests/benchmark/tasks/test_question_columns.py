"""Every column of a photo set that a task reads affects its score, so it must be part of the hash of the question."""

import re
from pathlib import Path

import benchmark.tasks
from benchmark.stats import CLUSTER_COLUMNS
from builders.photos import QUESTION_COLUMNS

SOURCES = Path(benchmark.tasks.__file__).parents[1]


def test_question_columns__cover_what_tasks_read():
    named = {
        name
        for path in SOURCES.rglob("*.py")
        for name in re.findall(r"""photos\.columns(?:\[|\.get\()["'](\w+)""", path.read_text(encoding="utf-8"))
    }
    assert named >= {"pair_id", "camera_type"}
    assert named | set(CLUSTER_COLUMNS) == set(QUESTION_COLUMNS)
