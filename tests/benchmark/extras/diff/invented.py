"""Invented comparisons of ways, for tests of their judgement and page."""

from benchmark.extras.diff import Diff, Measured, PathRow


def row(kind, scale, *, over="", cosine=True, traces=True, identical=False, labels=True):
    """A way that moves everything by a multiple of ``scale``."""

    def moved(factor):
        value = factor * scale
        ends = (4 * value, 3 * value, None if factor == 3 else 5 * value) if traces else ()
        return Measured(value, 0.9 * value, 1.2 * value, *ends)

    answers = (moved(4), moved(5), 3, 1, 0.7, 0.65, 0.6) if labels else (None,) * 7
    cosines = moved(2) if cosine else None
    pixels = (9.0 * scale, moved(1)) if cosine else (None, None)
    name = f"{kind} {scale:g} $a$ {'long' * 20}"
    return PathRow(name, kind, {}, 90, *pixels, cosines, moved(3), *answers, identical, "no", over, f"{kind}: said.")


def compared(rows, **changed):
    values = {"encoder": "e", "data": "d", "a": "as it is", "n": 90, "units": 30, "neighbours": 5, "trace": "web"}
    values |= {"distances": {"web": 0.1}, "at_most": 2.5, "moved_most": (("a", 0.5),), "rule": "So it is judged."}
    values |= {"left_out": {"a.jpg": "it is broken", "b.jpg": "too"}, "versions": {}}
    return Diff(rows=tuple(rows), **{**values, **changed})
