"""Audits by hand-made counts: effects that can be found, values that carry an association, what a match keeps."""

import pytest

from benchmark.audit.power import smallest_effect


@pytest.mark.parametrize(("n", "values", "classes"), [(1, 2, 2), (100, 1, 2), (100, 2, 1)])
def test_smallest_effect__without_two_photos_values_or_classes_is_all(n, values, classes):
    assert smallest_effect(n, 10, values=values, classes=classes) == 1.0
