"""The self-test of a device: its pictures by a plain loop, what it compares, and what it takes for a failure."""

import pytest
import torch

from benchmark.views import stream


def test_try__memory_that_ran_out_is_given_back(monkeypatch):
    """The next try has smaller batches; any other error is raised."""
    freed, errors = [], [RuntimeError("DefaultCPUAllocator: can't allocate memory"), ValueError("odd")]

    def batch(photos):
        if errors:
            raise errors.pop(0)
        return "views", None

    maker = stream._DeviceMaker(["a"], None, [], torch.device("cpu"), [], 100)
    monkeypatch.setattr(maker, "_batch", batch)
    monkeypatch.setattr(stream, "free_cached", lambda: freed.append(len(errors)))
    assert (maker._try([]), freed) == (None, [1])
    with pytest.raises(ValueError, match="odd"):
        maker._try([])
    assert (maker._try([]), freed) == (("views", None), [1])
