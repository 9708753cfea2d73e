"""Which option of labels is proposed for folders."""

import pytest

from builders.sources.columns.layouts import _label_option


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        ([("cat",), ("dog",)], "label=folder:1"),
        ([("real", "a"), ("fake", "b")], "label=folder:1"),
        ([("a", "real"), ("b", "fake"), ("b", "real")], "label=folder:2"),
        ([("real",), ("cats",)], "label=folder:1"),  # one origin among other names is a class
        ([("real",), ("fake",), ("cats",)], "label=re:(?:^|/)(fake|real)/"),
        ([], ""),
        ([(), ()], ""),
    ],
)
def test_label_option__of_origins_or_of_the_first_level(folders, expected):
    assert _label_option(folders) == expected


def test_label_option__without_a_level_that_is_another_s_and_below_a_folder():
    folders = [("train", "cat"), ("val", "dog")]
    assert _label_option(folders, without=[1]) == "label=folder:2"
    assert _label_option(folders, without=[1, 2]) == ""
    assert _label_option(folders, shift=1) == "label=folder:2"
    assert _label_option([("train", "real"), ("val", "fake")], shift=2) == "label=folder:4"
