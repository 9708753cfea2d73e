"""The pool by hand, without processes: which position goes to which worker and slot, replies, errors, and stalls."""

import numpy as np

from benchmark.views.workers.runs import WorkQueue, next_choice


def reference_choice(queue, loads, current, may_take, most, waiting):
    """``next_choice`` by its documentation: every candidate is listed, then the first one is taken."""
    order = sorted(range(len(loads)), key=lambda worker: (loads[worker], worker))
    left = [run for run in range(len(queue.next)) if queue.next[run] < queue._ends[run]]
    stays = [(w, current[w]) for w in order if loads[w] < most + 1 and current[w] in left and may_take(current[w])]
    if stays:
        return stays[0]
    takeable = []
    for run in left:
        if not may_take(run):
            break
        takeable.append(run)
    fresh = [run for run in takeable if run not in current]
    joined = takeable[:1] if waiting else []
    runs = fresh or joined
    return (order[0], runs[0]) if runs and loads[order[0]] < most else None


def test_next_choice__random_states_against_the_rules():
    rng = np.random.default_rng(0)
    chosen = set()
    for _ in range(3000):
        lengths = rng.integers(1, 4, rng.integers(1, 5))
        ids = np.repeat(np.arange(len(lengths)), lengths).tolist()
        queue = WorkQueue(len(ids), ids)
        for run, length in enumerate(lengths):
            for _ in range(rng.integers(0, length + 1)):
                queue.take(run)
        loads = rng.integers(0, 5, rng.integers(1, 4)).tolist()
        current = rng.integers(-1, len(lengths), len(loads)).tolist()
        allowed, most, waiting = rng.integers(0, 2, len(lengths)), int(rng.integers(1, 4)), bool(rng.integers(2))

        def may_take(run, allowed=allowed):
            return bool(allowed[run])

        expected = reference_choice(queue, loads, current, may_take, most, waiting)
        choice = next_choice(queue, loads, current, may_take, most=most, waiting=waiting)
        assert choice == expected
        chosen.add(choice is None)
    assert chosen == {True, False}
