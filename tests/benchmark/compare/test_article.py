"""The five figures of the article, with published and measured encoders."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from benchmark.compare import draw_article, published_rows
from benchmark.compare.article import _bars, _lines, _points, is_free, label_box
from benchmark.results import Result, Score, published_encoders
from benchmark.scoring import Row
from benchmark.tasks import all_tasks

SPEC = "openai/clip-vit-base-patch16"
OPTIONS = {
    "preset": "iccv2025",
    "protocol": "iccv2025",
    "preprocess": "study",
    "ties": "random",
    "orientation": "stored",
}
HISTOGRAM = {
    "query": "a.jpg",
    "class": "dog",
    "processing": "jpeg-q75-420",
    "why": "drawn at random, 1",
    "edges": [0.0, 0.5, 1.0],
    "counts": {"same-class same-processing": [1, 2], "other-class other-processing": [5, 0]},
}


def result(data: str, shift: float = 0.03) -> Result:
    """The first published encoder's scores of a data set, shifted."""
    scores = []
    for s in published_encoders()[0].scores:
        if s.data == data:
            value = float(np.clip(s.value + shift, -1 if s.metric == "spd" else 0, 1))
            details = {"similarities": [HISTOGRAM]} if (s.task, s.metric) == ("knn/jpeg", "spd") else {}
            ends = max(-1.0, value - 0.01), min(1.0, value + 0.01)
            scores.append(Score(s.task, data, s.metric, value, *ends, s.n, s.chance, details))
    return Result({"id": SPEC, "group": "CVL"}, {"name": data}, {"options": OPTIONS}, tuple(scores), (), {}, "")


@pytest.fixture(scope="module")
def rows():
    return published_rows([Row(SPEC, d, "scored", "", "x", result(d)) for d in ("imagenet", "flickrexif", "paircams")])


def family(name: str):
    return next(t.family for t in all_tasks().values() if t.family.name == name)


def test_bars__hold_every_published_and_measured_encoder(rows):
    panels = _bars(rows, family("processing"))
    assert len(panels) == 4
    for bars, chance in panels.values():
        assert len(bars) == 48
        assert sum(bar.measured for bar in bars) == 1
        assert [b.value for b in bars] == sorted((b.value for b in bars), reverse=True)
        assert 0 < chance < 0.5
    bars, _ = panels["JPEG, imagenet"]
    published = {
        e.name: s.value
        for e in published_encoders()
        for s in e.scores
        if (s.task, s.data) == ("probe/jpeg", "imagenet")
    }
    assert {b.encoder: b.value for b in bars if not b.measured} == published
    [measured] = [b for b in bars if b.measured]
    assert measured.value == pytest.approx(next(iter(published.values())) + 0.03)


def test_lines_and_points__hold_every_published_and_measured_encoder(rows):
    lines = _lines(rows, family("knn"))
    assert [len(panel) for panel in lines.values()] == [48] * 4
    assert all(set(values) >= {"all-same", "pos-same", "neg-same"} for panel in lines.values() for *_, values in panel)
    points = _points(rows, family("retrieval"))
    assert (len(points), sum(measured for _, _, measured, _, _ in points)) == (48, 1)


@pytest.fixture
def few(monkeypatch):
    """Figures show three published encoders: the names of 48 bars take time, and are tested above."""
    monkeypatch.setattr("benchmark.compare.article.published_encoders", lambda: published_encoders()[:3])


@pytest.mark.slow
def test_draw_article__five_figures_as_png_and_svg(few, rows, tmp_path):
    results = [result(d) for d in ("imagenet", "flickrexif", "paircams")]
    rows = [row for row in rows if row.task in ("probe/jpeg", "probe/make", "knn/jpeg") or "retrieval" in row.task]
    names = draw_article(rows, results, tmp_path)
    stems = [
        "article-1-similarities",
        "article-2-processing",
        "article-3-acquisition",
        "article-4-knn",
        "article-5-retrieval",
    ]
    assert sorted(names) == sorted(f"{stem}.{kind}" for stem in stems for kind in ("png", "svg"))
    for stem in stems:
        with Image.open(tmp_path / f"{stem}.png") as picture:
            assert min(picture.size) > 300
        text = (tmp_path / f"{stem}.svg").read_text(encoding="utf-8")
        assert text.lstrip().startswith("<?xml")
    (tmp_path / "again").mkdir()
    of_pairs = [row for row in rows if all_tasks()[row.task].family.name == "retrieval"]
    again = draw_article(of_pairs, [], tmp_path / "again")
    assert again == ["article-5-retrieval.png", "article-5-retrieval.svg"]
    assert [(tmp_path / name).read_bytes() for name in again] == [
        (tmp_path / "again" / name).read_bytes() for name in again
    ]


def test_draw_article__absent_figures_are_left_out_and_titles_note_what_is_not_comparable(tmp_path):
    other = dataclasses.replace(result("paircams"), data={"name": "folder:mine"})
    other = dataclasses.replace(other, scores=tuple(dataclasses.replace(s, data="folder:mine") for s in other.scores))
    rows = published_rows([Row(SPEC, "folder:mine", "scored", "", "x", other)])
    assert {name.split(".")[0] for name in draw_article(rows, [other], tmp_path)} <= {"article-5-retrieval"}
    renamed = result("imagenet")
    renamed = dataclasses.replace(
        renamed, scores=tuple(dataclasses.replace(s, data="folder:x") for s in renamed.scores)
    )
    rows = published_rows(
        [Row(SPEC, "folder:x", "scored", "", "x", dataclasses.replace(renamed, data={"name": "folder:x"}))]
    )
    assert all("not comparable" in title for title in _bars(rows, family("processing")))
    assert draw_article([], [], tmp_path) == []


def test_names__cover_neither_points_nor_names():
    left, right, bottom, top = label_box(0.5, 0.5, 20, 1.0, 1)
    assert left > 0.5
    assert label_box(0.5, 0.5, 20, 1.0, -1)[:2] == pytest.approx((1 - right, 1 - left))
    assert is_free((left, right, bottom, top), [], [(0.5, 0.5), (right + 0.01, 0.5)])
    assert not is_free((left, right, bottom, top), [], [(0.6, 0.51)])
    assert not is_free((left, right, bottom, top), [(0.6, 0.9, 0.51, 0.6)], [])
