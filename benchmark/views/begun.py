"""A stream from something that is at work before anybody has asked for the first of it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

Item = TypeVar("Item")


class Begun(Generator[Item, None, None]):
    """``make`` of 0, 1, ..., ``count`` - 1. Unlike a generator that has not been asked yet, it calls ``end`` when it is
    closed or gone; once.

    >>> ended = []
    >>> Begun(str, 3, lambda: ended.append(True)).close()
    >>> list(Begun(str, 3, lambda: ended.append(True))), ended
    (['0', '1', '2'], [True, True])
    """

    def __init__(self, make: Callable[[int], Item], count: int, end: Callable[[], object]) -> None:
        self._make = make
        self._left = iter(range(count))
        self._end: Callable[[], object] | None = end

    def send(self, value: None) -> Item:
        try:
            position = next(self._left)
            if self._end is None:
                raise StopIteration
            return self._make(position)
        except BaseException:
            self.close()
            raise

    def throw(self, kind: Any, value: Any = None, trace: Any = None) -> Item:
        self.close()
        return super().throw(kind, value, trace)

    def close(self) -> None:
        end, self._end = self._end, None
        if end is not None:
            end()

    def __del__(self) -> None:
        self.close()
