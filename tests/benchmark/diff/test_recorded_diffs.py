"""Distances between ways to an embedding do not move between versions."""

from benchmark.diff import diff
from benchmark.diff.page import draw_diff
from benchmark.diff.result import Diff, Measured, PathRow, diff_text
from tests.support.drawn import drawings
from tests.support.recorded import check_recorded

OF_THE_RUN = ("sentence", "sentences", "seconds", "environment", "versions", "created", "text")


def test_diffs__of_oblong_photos_are_as_recorded(thumbnail, oblong_photos):
    made = {}
    for way in ("resize=squash", "decoder=simplejpeg"):
        fields = vars(diff(thumbnail, oblong_photos, b=way, progress=False))
        made |= {f"{way}: {name}": value for name, value in fields.items() if name not in OF_THE_RUN}
    check_recorded("diffs", made, tolerance=0.002)


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


def test_figures_and_texts_of_diffs__are_as_recorded(tmp_path):
    rows = [row("path", 0.05, over="yes"), row("path", 0.04, over="no", cosine=False), row("step", 0.02, labels=False)]
    rows += [row("path", 0.0, over="no", identical=True), row("noise", 0.001), row("trace", 0.01)]
    plain = [row("path", 0.1, traces=False, over="undecided"), row("noise", 0.0, traces=False)]
    made = {}
    for name, result in {
        "traces": compared(rows),
        "a trace": compared(rows[:1], at_most=1.0, units=90, left_out={}),
        "no traces": compared(plain, trace=""),
        "nothing moved": compared(rows[3:4]),
    }.items():
        with drawings() as drawn:
            draw_diff(result, tmp_path / "a.png")
        made |= {f"{name}: figure": drawn[0], f"{name}: text": diff_text(result).splitlines()}
        frame = result.to_frame().astype(object)
        made[f"{name}: frame"] = {column: [str(value) for value in frame[column]] for column in frame}
    check_recorded("figures-of-diffs", made, tolerance=2e-6)
