"""One response of the Hub through the guard: waits, headers, limits, refusals and what is counted, by hand."""

from __future__ import annotations

import pytest
from huggingface_hub import constants

from builders.untrusted import client_message, from_hub


@pytest.mark.parametrize(
    ("setting", "disabled", "within"),
    [(None, False, True), ("1", False, True), ("", False, True), ("0", False, False), (" No ", False, False),
     ("off", False, False), ("FALSE", False, False), ("0", True, True), ("no", True, True)],
)  # fmt: skip
def test_xet__is_off_unless_the_environment_has_it_on(monkeypatch, setting, disabled, within):
    monkeypatch.delenv("HF_HUB_DISABLE_XET", raising=False)
    if setting is not None:
        monkeypatch.setenv("HF_HUB_DISABLE_XET", setting)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", disabled)
    with from_hub():
        assert constants.HF_HUB_DISABLE_XET is within
    with from_hub(sends=True):
        assert constants.HF_HUB_DISABLE_XET is disabled
    assert constants.HF_HUB_DISABLE_XET is disabled


def test_message__the_deepest_cause_that_says_something():
    outer, middle, inner = ValueError("outer\nmore"), OSError("middle"), KeyError("inner")
    outer.__cause__, middle.__cause__ = middle, inner
    assert client_message(outer) == "outer"
    for hidden in ("An error occurred while generating the dataset", "Couldn't reach the Hub"):
        first = ValueError(hidden)
        assert client_message(first) == hidden
        first.__cause__ = middle
        assert client_message(first) == "KeyError: 'inner'"
        inner.__cause__ = OSError("  ")
        assert client_message(first) == "KeyError: 'inner'"
        inner.__cause__ = None
