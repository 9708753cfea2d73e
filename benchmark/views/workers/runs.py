"""The queue of positions for the workers, in runs of neighbours that one worker makes faster than several."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple


class WorkQueue:
    """Positions 0 to ``count`` - 1 in runs of neighbours; the positions of a run are taken in order.

    Photos of a run share work (frames of one simulated scene), which a worker that makes them all does once.

    Args:
        count: number of positions.
        run_ids: one number per position, equal within a run; by default each position is a run.

    >>> queue = WorkQueue(5, [7, 7, 7, 4, 4])
    >>> queue.take(0), queue.take(1)  # the first of each run
    (0, 3)
    >>> list(queue.unfinished()), queue.first, queue.is_taken(3), queue.is_taken(4)
    ([0, 1], 1, True, False)
    """

    def __init__(self, count: int, run_ids: Sequence[int] = ()) -> None:
        begins = [i for i in range(count) if not (run_ids and i) or run_ids[i] != run_ids[i - 1]]
        self._ends = [*begins[1:], count]
        self.next = begins
        """Per run, the position that is taken next; the end of the run if all are taken."""
        self._run_of = [run for run in range(len(begins)) for _ in range(begins[run], self._ends[run])]
        self._first = 0

    def has_left(self, run: int) -> bool:
        """Whether a run has positions left; False for -1, which stands for no run."""
        return run >= 0 and self.next[run] < self._ends[run]

    def unfinished(self) -> Iterator[int]:
        """Runs that have positions left, in order."""
        while self._first < len(self.next) and not self.has_left(self._first):
            self._first += 1
        return (run for run in range(self._first, len(self.next)) if self.has_left(run))

    @property
    def first(self) -> int:
        """The first position that is not taken; ``count`` if all are."""
        run = next(self.unfinished(), -1)
        return self.next[run] if run >= 0 else len(self._run_of)

    def is_taken(self, position: int) -> bool:
        """Whether a position was taken."""
        return position < self.next[self._run_of[position]]

    def take(self, run: int) -> int:
        """Take the next position of a run."""
        position = self.next[run]
        self.next[run] += 1
        return position


class Choice(NamedTuple):
    """The worker that gets the next position, and its run."""

    worker: int
    run: int


def next_choice(
    queue: WorkQueue,
    loads: Sequence[int],
    current: Sequence[int],
    may_take: Callable[[int], bool],
    *,
    most: int,
    waiting: bool,
) -> Choice | None:
    """Choose the worker and the run of the next position; workers with the fewest positions come first.

    A worker stays with its run. At the end of the run it begins another one. It takes positions of another worker's run
    only if no run is left to begin and a position is waited for.

    Args:
        queue: the positions.
        loads: per worker, number of positions that it has.
        current: per worker, the run of its last position; -1 for none.
        may_take: whether the next position of a run may be taken; if not, no later run's may.
        most: positions that a worker may have when it begins or joins a run; one more if it stays with its run.
        waiting: whether a position that is not made yet is waited for.

    Returns:
        None if no worker gets a position now.
    """
    idlest = sorted(range(len(loads)), key=lambda worker: loads[worker])
    for worker in idlest:
        if loads[worker] <= most and queue.has_left(current[worker]) and may_take(current[worker]):
            return Choice(worker, current[worker])
    if loads[idlest[0]] >= most:
        return None
    runs = itertools.takewhile(may_take, queue.unfinished())
    first = next(runs, None)
    chosen = next((run for run in itertools.chain([first], runs) if run not in current), first if waiting else None)
    return None if chosen is None else Choice(idlest[0], chosen)
