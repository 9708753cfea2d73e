"""Positions in runs of neighbours that one worker makes faster than several: which of each run is given out next."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple


class WorkQueue:
    """Positions 0 to ``count``, given out in order within each run.

    Args:
        count: positions.
        kin: one number a position, equal within a run; none at all where each position is a run.

    >>> runs = WorkQueue(5, [7, 7, 7, 4, 4])
    >>> runs.take(0), runs.take(1)  # the first of both
    (0, 3)
    >>> list(runs.left()), runs.first, runs.given(3), runs.given(4)
    ([0, 1], 1, True, False)
    """

    def __init__(self, count: int, kin: Sequence[int] = ()) -> None:
        begins = [i for i in range(count) if not (kin and i) or kin[i] != kin[i - 1]]
        self._ends = [*begins[1:], count]
        self.next = begins
        """Of each run, the position that is given out next; its end once all were."""
        self._run_of = [run for run in range(len(begins)) for _ in range(begins[run], self._ends[run])]
        self._first = 0

    def open(self, run: int) -> bool:
        """Whether it is a run and has positions left."""
        return run >= 0 and self.next[run] < self._ends[run]

    def left(self) -> Iterator[int]:
        """Runs that have positions left."""
        while self._first < len(self.next) and not self.open(self._first):
            self._first += 1
        return (run for run in range(self._first, len(self.next)) if self.open(run))

    @property
    def first(self) -> int:
        """The first position that is not given out; ``count`` where all are."""
        run = next(self.left(), -1)
        return self.next[run] if run >= 0 else len(self._run_of)

    def given(self, position: int) -> bool:
        return position < self.next[self._run_of[position]]

    def take(self, run: int) -> int:
        """Give out the next position of a run."""
        position = self.next[run]
        self.next[run] += 1
        return position


class Choice(NamedTuple):
    """Who gets the next position of which run."""

    worker: int
    run: int


def chosen(
    runs: WorkQueue,
    loads: Sequence[int],
    at: Sequence[int],
    has_room: Callable[[int], bool],
    *,
    most: int,
    waited: bool,
) -> Choice | None:
    """Who gets a position next, the idlest first; None where nobody does.

    A worker stays with its run. One that has come to its end begins another; it helps with a run that is another's only
    where there is none to begin and somebody waits.

    Args:
        runs: what is left.
        loads: of each worker, the positions that it holds.
        at: of each worker, the run that it was given a position of last; -1 for none.
        has_room: whether the next position of a run may be given out; where one may not, no later one may.
        most: positions that a worker holds of what is not its run; it holds one more of its own.
        waited: whether somebody waits for a position that is not made.
    """
    idlest = sorted(range(len(loads)), key=lambda worker: loads[worker])
    for worker in idlest:
        if loads[worker] <= most and runs.open(at[worker]) and has_room(at[worker]):
            return Choice(worker, at[worker])
    if loads[idlest[0]] >= most:
        return None
    ready = itertools.takewhile(has_room, runs.left())
    first = next(ready, None)
    run = next((one for one in itertools.chain([first], ready) if one not in at), first if waited else None)
    return None if run is None else Choice(idlest[0], run)
