"""Layouts as people have them: each is read right, or refused with a specification that reads it right."""

import pytest

from scripts.checks.layouts import LAYOUTS, outcome


@pytest.mark.parametrize("name", LAYOUTS)
def test_layout__is_right_or_refused_with_what_works(name, tmp_path):
    assert outcome(LAYOUTS[name], tmp_path).startswith(("right", "refused"))
