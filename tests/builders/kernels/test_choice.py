"""The choice between compiled kernels and the definition."""

import contextlib
import importlib.util
from pathlib import Path

import pytest

from builders.errors import UsageError
from builders.kernels import VARIABLE, choice, try_kernels

WORDS = {"name": "the kernels of a test", "otherwise": "going on without"}


@pytest.fixture(autouse=True)
def _numba_is_there_and_nothing_forced(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.delenv(VARIABLE, raising=False)


def test_try_kernels__that_agree(recwarn, monkeypatch):
    trial = try_kernels(lambda: abs, lambda kernels: "" if kernels is abs else "another", **WORDS)
    assert (trial.kernels, trial.objection) == (abs, "")
    monkeypatch.setenv(VARIABLE, "numba")
    trial.check_forced("Python")
    assert not recwarn.list


def test_try_kernels__that_differ_are_left_with_a_warning_and_refused_if_forced(monkeypatch):
    with pytest.warns(RuntimeWarning, match="differs") as caught:
        trial = try_kernels(lambda: abs, lambda kernels: "abs differs", **WORDS)
    assert caught[0].filename == __file__
    assert (trial.kernels, trial.objection) == (None, "abs differs")
    trial.check_forced("Python")
    monkeypatch.setenv(VARIABLE, "numba")
    with pytest.raises(UsageError, match="CAMTRACE_ENGINE"):
        trial.check_forced("Python")


@pytest.mark.parametrize("step", ["load", "difference"])
def test_try_kernels__that_cannot_be_compiled(step):
    def fail(*_):
        raise KeyError("no lowering\nat length")

    steps = {"load": lambda: abs, "difference": lambda kernels: "", step: fail}
    with pytest.warns(RuntimeWarning, match="KeyError"):
        assert try_kernels(**steps, **WORDS).kernels is None


def test_try_kernels__without_numba_nothing_is_imported_and_nothing_warned(monkeypatch, recwarn):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    trial = try_kernels(lambda: 1 / 0, lambda kernels: "", purpose="fast tests", **WORDS)
    assert trial.kernels is None
    assert trial.objection.startswith("fast tests needs the package numba")
    assert not recwarn.list


def test_forced_engine__another_value_is_refused(monkeypatch):
    for value in ("", "numba", "pillow"):
        monkeypatch.setenv(VARIABLE, value)
        assert choice.forced_engine() == value
    monkeypatch.setenv(VARIABLE, "gpu")
    with pytest.raises(UsageError, match="'pillow'"):
        choice.forced_engine()


def test_try_kernels__without_numba_the_name_says_what_needs_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    trial = try_kernels(lambda: 1 / 0, lambda kernels: "", **WORDS)
    assert trial.objection.startswith("the kernels of a test needs the package numba")
    trial.check_forced("Python")
    monkeypatch.setenv(VARIABLE, "numba")
    with pytest.raises(UsageError, match="CAMTRACE_ENGINE"):
        trial.check_forced("Python")


def test_try_kernels__loads_and_compares_within_the_first_call():
    events = []

    @contextlib.contextmanager
    def first_call():
        events.append("begin")
        yield
        events.append("end")

    def load():
        events.append("load")
        return abs

    def difference(kernels):
        events.append("compare")
        return ""

    assert try_kernels(load, difference, first_call=first_call, **WORDS).kernels is abs
    assert events == ["begin", "load", "compare", "end"]


def test_try_kernels__the_warning_is_of_the_caller_that_is_named():
    def by_another():
        return try_kernels(lambda: abs, lambda kernels: "differs", stacklevel=2, **WORDS)

    with pytest.warns(RuntimeWarning, match="differs") as caught:
        by_another()
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    assert lines[caught[0].lineno - 1].strip() == "by_another()"
