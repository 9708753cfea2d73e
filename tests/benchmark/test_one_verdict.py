"""Heading, mark, exit status and record of planted situations say the same thing, through the command line."""

from __future__ import annotations

import html
import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmark.cli.audit import main as audit
from benchmark.cli.compare import main as compare
from benchmark.extras.items import Columns, compare_rows, items_figure, read_sources
from builders.errors import DataError, UsageError

N = 400


def photos(folder: Path, saved) -> str:
    """120 photos of two classes with equal content; ``saved(label, i)`` gives format, quality and subsampling."""
    rng = np.random.default_rng(0)
    for i in range(120):
        small = Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8))
        picture = small.resize((96, 96), Image.Resampling.BICUBIC)
        label = "real" if i % 2 else "fake"
        kind, quality, subsampling = saved(label, i)
        file = io.BytesIO()
        picture.save(file, kind, **({"quality": quality, "subsampling": subsampling} if kind == "JPEG" else {}))
        path = folder / label / f"{i:03d}.{kind.lower()}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.getvalue())
    return f"folder:{folder}"


def by_label(label, i):
    return ("JPEG", 95, 0) if label == "real" else ("JPEG", 80, 2)


def at_random(label, i):
    return ("JPEG", 95, 0) if i // 2 % 2 else ("JPEG", 80, 2)


def resaved_quality(label, i):
    """The same header for all, and an earlier coarse save of one class below it: seen by ``photos_resaved``."""
    return ("JPEG", 90, 2)


AUDITS = {
    # name: (how photos are saved, options, words of the heading, its colour, exit status)
    "clean": (at_random, ["--pixels", "200"], "no confound found", "good", 0),
    "clean headers, pixels not looked at": (at_random, [], "pixels not looked at", "plain", 0),
    "same headers, pixels not looked at": (resaved_quality, [], "undecided", "open", 1),
    "confound in the header": (by_label, ["--pixels", "200"], "confounded", "bad", 1),
    "repaired, the pixels still tell": (
        by_label,
        ["--pixels", "200", "--repair", "jpeg:75-420"],
        "undecided",
        "open",
        1,
    ),
    "repaired, and clean": (at_random, ["--pixels", "200", "--repair", "jpeg:75-420"], "no confound found", "good", 0),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", AUDITS)
def test_audit__heading_colour_text_record_and_exit_status_agree(name, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    saved, options, heading, colour, status = AUDITS[name]
    data, out = photos(tmp_path / "photos", saved), tmp_path / "out"
    assert audit([data, "--output", str(out), "--exit-code", *options]) == status
    printed = capsys.readouterr()
    last = out / "after" if "--repair" in options else out
    tone, title = re.search(r'<h1 class="(\w+)">([^<]*)', (last / "audit.html").read_text()).groups()
    assert (heading in title.lower(), tone) == (True, colour)
    assert title in printed.out
    assert title in (last / "audit.md").read_text()
    assert (title.lower() in printed.err) is bool(status)
    record = json.loads((last / "audit.json").read_text())
    assert record["verdict"]["text"] in printed.out
    marks = {
        "found" if q["flagged"] and not q["content"] else "hint" if q["flagged"] else "calm"
        for q in [*record["questions"], *record["layers"]]
        if q["target"] == "label"
    }
    expected = {"bad": "found", "open": "hint" if "--repair" in options else "calm", "good": "calm", "plain": "calm"}
    assert ("found" in marks, "hint" in marks - {"found"}) == (colour == "bad", "hint" in marks)
    assert expected[colour] in marks
    assert colour != "good" or marks == {"calm"}


def table(path: Path, scores: dict[str, np.ndarray]) -> str:
    parts = [
        pd.DataFrame({"id": [f"{task}{i}" for i in range(len(values))], "task": task, "score": values})
        for task, values in scores.items()
    ]
    pd.concat(parts).to_csv(path, index=False)
    return str(path)


def right(share: float, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random(N) < share).astype(float)


def latencies(factor: float = 1.0, **outliers: float) -> np.ndarray:
    values = factor * np.random.default_rng(1).normal(100, 10, N)
    for at, value in outliers.items():
        values[int(at[1:])] = value
    return values


MS = ["--lower-is-better"]
DROP = ["--on-missing", "drop"]
GATES = {
    # name: (old, new, options, first word, exit status with --exit-code, and with --fail-undecided)
    "worse": ({"a": right(0.9)}, {"a": right(0.6)}, ["--worse-by", "2"], "Worse", 1, 1),
    "the same": ({"a": right(0.9)}, {"a": right(0.9)}, ["--worse-by", "2"], "Not worse", 0, 0),
    "undecided": ({"a": right(0.9)}, {"a": right(0.9, 5)}, ["--worse-by", "0"], "Undecided", 0, 1),
    "a task is missing": (
        {"a": right(0.9), "lost": right(0.9)}, {"a": right(0.9)}, [*DROP, "--worse-by", "2"], "Undecided", 0, 1,
    ),
    "slower, and one outlier in both": (
        {"ms": latencies(i3=60_000)}, {"ms": latencies(1.4, i3=60_000)}, [*MS, "--worse-by", "5"], "Worse", 1, 1,
    ),
    "slower, within the range that was declared": (
        {"ms": latencies()}, {"ms": latencies(1.4)}, [*MS, "--worse-by", "1", "--range", "0:1000"], "Worse", 1, 1,
    ),
    "slower by less than the margin": (
        {"ms": latencies(i3=60_000)}, {"ms": latencies(1.4, i3=60_000)}, [*MS, "--worse-by", "60"], "Not worse", 0, 0,
    ),
    "slower, hidden by one outlier of OLD": (
        {"ms": latencies(i3=60_000)}, {"ms": latencies(1.4)}, [*MS, "--worse-by", "5"], "Undecided", 0, 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GATES)
def test_gate__first_line_table_record_and_exit_status_agree(name, tmp_path, capsys):
    old, new, options, word, status, strict = GATES[name]
    files = [table(tmp_path / "old.csv", old), table(tmp_path / "new.csv", new)]
    words = [*files, "--item", "id", "--score", "score", "--task", "task", *options]
    assert compare([*words, "--exit-code", "--output", str(tmp_path / "out")]) == status
    text = capsys.readouterr().out
    assert compare([*words, "--fail-undecided", "--json"]) == strict
    record = json.loads(capsys.readouterr().out)
    first = text.splitlines()[0]
    assert first.startswith(f"{word}:")
    assert record["gate"]["verdict"] == word.lower()
    judgements = [row["judgement"] for row in record["gate"]["scores"]]
    assert word.lower() in [*judgements, *("undecided" for _ in record["gate"]["missing"])]
    assert all(task in first for task in old.keys() - new.keys())
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert first in html.unescape(page)
    for row, mark in zip(record["differences"], re.findall(r'class="dot( hollow)?"', page), strict=True):
        assert (mark == "") is (row["differs"] == "yes")
    if word == "Worse":
        assert record["differences"][0]["differs"] == "yes"


@pytest.mark.parametrize(
    ("scores", "options", "named"),
    [
        (latencies(), [], "--range"),
        (latencies(i3=60_000), ["--worse-by", "1", "--range", "0:1000"], "60000"),
        (np.r_[right(0.9)[1:], 7.0], ["--worse-by", "2"], "such as 7"),
    ],
)
def test_gate__what_a_margin_means_is_never_guessed_from_the_scores(scores, options, named, tmp_path):
    files = [table(tmp_path / f"{name}.csv", {"ms": scores}) for name in ("old", "new")]
    words = [*files, "--item", "id", "--score", "score", "--task", "task", "--exit-code", *options]
    with pytest.raises((UsageError, DataError), match=named):
        compare(words)


@pytest.mark.slow
def test_figure__a_mark_is_hollow_exactly_where_its_line_holds_no_difference():
    """Intervals of many differences, some undecided by the correction alone."""
    from matplotlib.colors import to_rgba

    rng = np.random.default_rng(0)
    frames = {
        name: pd.DataFrame({
            "id": [f"{task}{i}" for task in range(40) for i in range(100)],
            "task": [f"t{task}" for task in range(40) for _ in range(100)],
            "score": np.concatenate([rng.random(100) < 0.6 + shift * task / 100 for task in range(40)]).astype(float),
        })
        for name, shift in (("one", 0.0), ("two", 1.0))
    }  # fmt: skip
    compared, _ = compare_rows(read_sources(list(frames.items()), Columns("id", "score", task="task"), []))
    plain = [not row.difference.low <= 0 <= row.difference.high for row in compared.rows]
    figure = items_figure(compared)
    (axes,) = figure.axes
    lines = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_ydata()[0] == line.get_ydata()[1]]
    marks = [line for line in axes.lines if line.get_marker() == "o"]
    filled = [to_rgba(mark.get_markerfacecolor()) != to_rgba("white") for mark in marks]
    beyond = [not line.get_xdata()[0] <= 0 <= line.get_xdata()[1] for line in lines]
    assert filled == beyond
    assert 0 < sum(filled) < sum(plain)
