"""What an audit concludes from its numbers: flags, order, the worst effect, layers that predict, what can be seen."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from benchmark.audit.accuracy import layer_scores
from benchmark.audit.features import FEATURES
from benchmark.audit.questions import corrected
from tests.benchmark.audit.test_report import AUDIT
from tests.benchmark.audit.test_verdict import layer, question


def test_audit__looks_up_by_name_and_target_and_is_text():
    layers = (layer("exif", 0.7, target="split"), layer("exif", 0.9), layer("size", 0.3))
    questions = (question("make", target="split", value=0.1), question("make", value=0.2), question("iso", value=0.3))
    result = dataclasses.replace(AUDIT, questions=questions, layers=layers, name="grün")
    assert (result.layer("exif"), result.layer("exif", "split"), result.layer("pixels")) == (layers[1], layers[0], None)
    assert (result.question("make"), result.question("make", "split")) == (questions[1], questions[0])
    assert result.question("make", "source") is None
    assert layers[2].advantage == 0  # below chance
    assert repr(result) == str(result) == "grün: Confounded. It can be told from *this*."
    text = result.to_json()
    assert '"name": "grün"' in text
    assert json.loads(text)["schema"] == 2
    frame = result.to_frame()
    assert frame["feature"].tolist() == ["make", "make", "iso"]
    assert "carriers" not in frame
    assert {"target", "value", "raw", "p_value", "adjusted", "tested", "flagged", "content"} <= set(frame)
    assert len(dataclasses.replace(result, questions=()).to_frame()) == 0


def test_corrected__holm_over_all_and_the_strongest_first():
    questions = [
        question("weak", p_value=1e-6, value=0.0499),
        question("late", p_value=0.004, value=0.9),
        question("strong", p_value=1e-6, value=0.3),
        question("stronger", p_value=1e-6, value=0.5),
        question("hint", p_value=1e-6, value=0.8, content=True),
        question("of split", p_value=1e-6, value=1.0, target="split"),
        question("least", p_value=1e-6, value=0.05),
        question("of source", p_value=1e-6, value=1.0, target="source"),
    ]
    layers = [layer("exif", 0.9, p_value=1e-6), layer("size", 0.5, p_value=1e-6)]
    tested, scored = corrected(questions, layers)
    assert [(q.feature, q.flagged) for q in tested] == [
        *(("late", True), ("stronger", True), ("strong", True), ("least", True), ("hint", True)),
        *(("weak", False), ("of split", True), ("of source", True)),
    ]
    # Holm: the nine smallest p-values times 10, the last one times 1
    assert {q.feature: q.adjusted for q in tested}["late"] == pytest.approx(0.004)
    assert {q.feature: q.adjusted for q in tested}["weak"] == pytest.approx(1e-5)
    assert [(s.layer, s.flagged) for s in scored] == [("exif", True), ("size", False)]
    assert [s.adjusted for s in scored] == pytest.approx([1e-5, 1e-5])
    assert corrected([], []) == ((), ())
    alone, _ = corrected([question("late", p_value=0.0101, value=0.9)], [])
    assert not alone[0].flagged


def sample_of(labels, owners=None, **columns):
    values = {name: np.nan if feature.kind == "number" else "same" for name, feature in FEATURES.items()}
    frame = pd.DataFrame({name: [value] * len(labels) for name, value in values.items()})
    frame["id"] = [str(i) for i in range(len(labels))]
    frame["label"], frame["owner"] = labels, owners or [""] * len(labels)
    for name, of_photos in columns.items():
        frame[name] = of_photos
    return frame


def scores_of(sample, **pixels):
    names = {"label": {name: i for i, name in enumerate(dict.fromkeys(sample["label"])) if name}}
    counts = SimpleNamespace(names=names, sample=sample, pixels=pixels)
    return {score.layer: score for score in layer_scores(counts, "label")}


def test_layer_scores__of_a_label_that_one_feature_tells():
    labels = ["a"] * 30 + ["b"] * 20 + ["c"] * 9 + [""] * 6
    scores = scores_of(sample_of(labels, make=["x"] * 30 + ["y"] * 35))
    assert list(scores) == ["exif", "file"]  # a layer of constant features has no score
    score = scores["exif"]
    assert (score.accuracy, score.chance, score.n, score.classes) == (1.0, 0.5, 50, 2)
    assert score.recalls == {"a": 1.0, "b": 1.0}
    assert score.p_value < 1e-6
    assert (score.target, score.content, score.title) == ("label", False, "the Exif alone")
    assert scores["file"].accuracy == 1.0


def test_layer_scores__rare_values_have_no_column_and_numbers_have_bins():
    labels = ["a", "b"] * 30
    rare = [f"v{i // 4}" for i in range(60)]
    assert scores_of(sample_of(labels, make=rare)) == {}
    assert list(scores_of(sample_of(labels, make=["often"] * 5 + rare[5:]))) == ["exif", "file"]
    numbers = [1.0 if label == "a" else 2.0 for label in labels]
    assert scores_of(sample_of(labels, bytes=numbers))["weight"].accuracy == 1.0
    assert scores_of(sample_of(labels, bytes=numbers))["weight"].content
    assert scores_of(sample_of(labels, pixels=[np.nan if x == 1 else 7.0 for x in numbers]))["size"].accuracy == 1.0


def test_layer_scores__a_rare_class_counts_as_much_as_a_frequent_one():
    """Everything looks like one class: its recall is 1, that of the other 0, whatever their sizes."""
    labels = ["a"] * 90 + ["b"] * 10
    score = scores_of(sample_of(labels, make=["x"] * 50 + ["y"] * 40 + ["x"] * 5 + ["y"] * 5))["exif"]
    assert score.accuracy == pytest.approx(np.mean(list(score.recalls.values())))
    assert list(score.recalls.values()) == sorted(score.recalls.values(), reverse=True)


def test_layer_scores__of_pixels_and_of_their_border():
    labels = ["a", "b"] * 20
    tells = np.array([[0.0, 5.0, i % 3] for i in range(40)])
    tells[:, 0] = np.arange(40) % 2
    noise = np.random.default_rng(0).normal(size=(40, 2))
    sample = sample_of(labels)
    scores = scores_of(sample, frame=sample, whole=tells, border=noise)
    assert scores["pixels"].accuracy == 1.0
    assert scores["hidden"].accuracy < 0.9
    titles = [scores[name].title for name in ("pixels", "hidden")]
    assert titles == ["pixel statistics", "a narrow border of the picture alone"]
    assert all(score.content for score in scores.values())


def test_layer_scores__every_class_takes_part_whatever_the_order(monkeypatch):
    """A sample that is cut has photos of every class, and the same ones in any order of the rows."""
    monkeypatch.setattr("benchmark.audit.accuracy.WORK", 1)
    labels = np.repeat([f"{k:02}" for k in range(10)], 40)
    sample = sample_of(labels)
    noise = np.random.default_rng(0).normal(size=(400, 2))
    scores = []
    for order in (np.arange(400), np.random.default_rng(1).permutation(400)):
        mixed = sample.iloc[order].reset_index(drop=True)
        scores.append(scores_of(mixed, frame=mixed, whole=noise[order], border=noise[order])["pixels"])
    first, other = scores
    assert (first.n, first.classes, first.chance) == (200, 10, 0.1)
    assert first.p_value > 0.01
    assert (other.n, other.accuracy, other.low) == (first.n, first.accuracy, first.low)


def test_layer_scores__recalls_of_the_eight_best_classes():
    names = [f"c{i}" for i in range(10)]
    labels = [name for name in names for _ in range(12)]
    score = scores_of(sample_of(labels, make=labels))["exif"]
    assert (len(score.recalls), score.classes, score.chance) == (8, 10, 0.1)
