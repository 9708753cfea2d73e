"""Paths that are taken seldom, each by a direct call."""

import torch

from benchmark.compute import memory


def test_waited_for__computes_at_once_and_share_of_a_machine_is_at_least_whole(monkeypatch):
    rows, calls = torch.ones(2), []
    started = memory._waited_for(lambda: calls.append(1) or rows)
    assert calls == [1]
    assert started() is rows
    assert calls == [1]
    for processes, sharing in ((3, 3), (0, 1)):
        monkeypatch.setattr(memory, "_sharing", 9)
        memory.share_machine(processes)
        assert memory._sharing == sharing
