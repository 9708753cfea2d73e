"""Given groups in a report: cells, notes, and the index over k."""

import pytest

from benchmark.report.groups import groups_text
from benchmark.results import Result, Score

DETAILS = {
    "group": "scanner",
    "observational": "given, not assigned",
    "labels": ["cat", "dog"],
    "groups": ["A", "B"],
    "cells": [[10, 20], [30, 4]],
    "clusters": [[1, 2], [3, 4]],
    "resampled": "patient",
}


def text(*details: dict, chance: float = 0.25) -> str:
    scores = tuple(Score(f"probe/{i}", "set", "index", 0.5, 0.4, 0.6, 10, chance, d) for i, d in enumerate(details))
    return groups_text(Result({"id": "x"}, {"name": "set"}, {}, scores, (), {}, ""))


@pytest.mark.parametrize(("labels", "shown"), [(60, True), (61, False)])
def test_groups_text__at_most_sixty_cells_are_a_table(labels, shown):
    cells = [[5 + i] for i in range(labels)]
    many = {**DETAILS, "labels": [f"l{i}" for i in range(labels)], "groups": ["A"], "cells": cells, "clusters": cells}
    assert ("| l0" in text(many)) is shown
    assert ("61 labels x 1 groups: 5 to 65 photos a cell." in text(many)) is not shown


def test_groups_text__the_index_at_some_k_with_its_chance():
    curve = [{"k": k, "index": k / 100} for k in (1, 2, 5, 10, 61)] + [{"k": 3, "index": None}]
    line = "Index over k, in %: 1.0 (k = 1), 5.0 (k = 5), 61.0 (k = 61); chance 25.0."
    assert text({**DETAILS, "curve": curve}).endswith("\n\n" + line)
    assert "Index" not in text({**DETAILS, "curve": [{"k": 2, "index": 0.1}]})
    assert "Index" not in text({**DETAILS, "curve": []}) + text(DETAILS)
