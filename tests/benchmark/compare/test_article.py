"""The five figures of the article, with published and measured encoders."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from benchmark.compare import draw_article, published_rows
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
