"""What tasks pass to the arithmetic, call by call: a device, a protocol, a seed or a rule that is dropped moves scores.

Each run states options that are not the defaults. Spies record calls, and compute on the CPU by the default protocol.
"""

import dataclasses
import functools
import importlib
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.options import RunOptions
from benchmark.stats import against_chance
from benchmark.tasks import TaskInput, all_tasks
from builders.photos import Labels, PhotoSet

N, TRAIN = 48, 28
DEVICE, PROTOCOL = {"device": "cuda"}, {"device": "cuda", "protocol": "iccv2025"}


def photos_of(**changes) -> PhotoSet:
    """48 photos of two classes in 24 clusters of two; a label, a group and an attribute that are crossed."""
    splits = ["train"] * TRAIN + ["val"] * (N - TRAIN)
    names = [("fake", "real")[i // 2 % 2] for i in range(N)]
    photos = PhotoSet.of_bytes("toy", {f"p{i}": b"" for i in range(N)}, names, splits)
    labels = [
        Labels(names, (np.arange(N) // step % 2).astype(np.int32)) for names, step in ((("x", "y"), 4), (("a", "b"), 8))
    ]
    columns = {"cluster": np.array([f"c{i // 2}" for i in range(N)])}
    return dataclasses.replace(photos, groups={"g": labels[0]}, attributes={"make": labels[1], "iso": labels[0]},
                               columns=columns, neighbours=3, **changes)  # fmt: skip


def rows_of(name: str) -> np.ndarray:
    rng = np.random.default_rng([*name.encode()])
    rows = np.random.default_rng(0).normal(size=(N, 5))
    rows[:, 0] += np.arange(N) // 2 % 2
    rows[:, 1] += np.arange(N) // 4 % 2
    return (rows + 0.3 * rng.normal(size=rows.shape)).astype(np.float32)


def of_value(value):
    """Texts, numbers and lists of whole numbers as they are; of other values their type."""
    if value is None or isinstance(value, (str, int, float, tuple)):
        return value
    if isinstance(value, np.ndarray) and value.ndim == 1:
        return in_order(value.tolist())
    return type(value).__name__


def in_order(codes):
    """Codes by the place where each is first."""
    return [codes.index(code) for code in codes]


def pairs(count: int) -> list[int]:
    return [i // 2 * 2 for i in range(count)]


@pytest.fixture
def run(monkeypatch):
    """Runs a task, and returns the keywords of every call of some functions, in their order."""

    def of_task(name: str, functions: list[str], photos=None, *, brief=False, **options):
        calls = []
        for path in functions:
            package, _, function = path.rpartition(".")
            module = importlib.import_module(f"benchmark.{package}")

            def spy(*args, real, function, **more):
                calls.append((function, {key: of_value(value) for key, value in more.items()}))
                on_cpu = {"device": "cpu", "protocol": "converged"}
                return real(*args, **{key: on_cpu.get(key, value) for key, value in more.items()})

            named = functools.partial(spy, real=getattr(module, function), function=function)
            monkeypatch.setattr(module, function, named)
        bank = SimpleNamespace(view=lambda view, at: rows_of(view)[at], dim=5, names=())
        given = RunOptions(**{"resamples": 200, "protocol": "iccv2025", "seed": 13, **options})
        photos = photos_of() if photos is None else photos
        inputs = TaskInput(photos, np.ones(N, bool), bank, given, "cuda", brief=brief)
        return all_tasks()[name].run(inputs), calls

    return of_task


def check_p_chance(outcome, expected, guess):
    """The p-value of each reader is against the best constant guess, over the clusters of the test photos."""
    for score, name in zip(outcome.scores, ("predicted", "predicted-knn"), strict=True):
        values = (outcome.answers[name] == expected).mean(axis=(0, 1))
        p_value = against_chance(values, guess, clusters=outcome.answers["clusters"])
        assert score.details["p_chance"] == pytest.approx(p_value)
        assert p_value != against_chance(values, 0.5, clusters=outcome.answers["clusters"])


PROBES = [f"probe.processing_{part}" for part in ("probe", "curve", "spread")]


def test_processing_probe__protocol_device_and_clusters(run):
    outcome, calls = run("probe/sharpening", PROBES, readers="linear,knn", assignment_seeds=2)
    how = {**PROTOCOL, "clusters": pairs(TRAIN)}
    whole = {"whole": "ProbeAnswers", **how}
    assert calls == [
        ("processing_probe", how),
        ("processing_curve", {**whole, "test_clusters": pairs(N - TRAIN)}),
        ("processing_spread", whole),
        ("processing_probe", {**how, "reader": "knn"}),
    ]
    assert [score.metric for score in outcome.scores] == ["accuracy", "accuracy-knn"]
    for score in outcome.scores:
        assert (score.details["classes"], score.details["class_names"]) == (3, ["none", "x2", "x4"])
        assert score.chance == pytest.approx(1 / 3)
    first, second = (score.details for score in outcome.scores)
    assert {"learning_curve", "training_spread"} <= set(first)
    assert {"learning_curve", "training_spread"}.isdisjoint(second)
    assert {"curve", "curve_fits", "predicted", "predicted-knn", "clusters", "photos"} == set(outcome.answers)
    check_p_chance(outcome, np.arange(3)[:, None], 1 / 3)


def test_processing_probe__brief_is_the_probe_alone(run):
    outcome, calls = run("probe/sharpening", PROBES, brief=True, assignment_seeds=2)
    assert calls == [("processing_probe", {**PROTOCOL, "clusters": pairs(TRAIN)})]
    assert set(outcome.answers) == {"predicted", "clusters", "photos"}


LABELLED = [
    f"probe.{name}"
    for name in ("in_solver_space", "labelled_probe", "labelled_curve", "labelled_spread", "shuffled_accuracies")
]


def test_acquisition_probe__each_fit_and_control(run):
    outcome, calls = run("probe/make", LABELLED, readers="linear,knn", mask_ratio=0.5)
    whole = {"whole": "ProbeAnswers", **PROTOCOL}
    assert calls == [
        ("in_solver_space", PROTOCOL),
        ("labelled_probe", PROTOCOL),
        ("shuffled_accuracies", {**PROTOCOL, "chosen": "dict"}),
        *[("labelled_probe", PROTOCOL)] * 3,  # whole, complement, metadata
        ("labelled_curve", whole),
        ("labelled_spread", whole),
        ("labelled_probe", {**PROTOCOL, "reader": "knn"}),
    ]
    linear, knn = outcome.scores
    assert list(linear.details["controls"]) == ["shuffled", "whole", "complement", "metadata"]
    shared = ("classes", "class_names", "most_frequent_class", "mask_ratio", "resampled", "units")
    assert {name: knn.details[name] for name in shared} == {name: linear.details[name] for name in shared}
    assert {"controls", "visible_share", "learning_curve"}.isdisjoint(knn.details)
    assert (knn.chance, knn.n) == (linear.chance, linear.n) == (0.5, N - TRAIN)
    check_p_chance(outcome, outcome.answers["expected"], 12 / 20)  # of the test photos twelve have one make


def test_group_probe__each_fit_and_control(run):
    outcome, calls = run("probe/g", LABELLED, readers="linear,knn")
    assert calls == [
        ("labelled_probe", PROTOCOL),
        ("shuffled_accuracies", {**PROTOCOL, "chosen": "dict", "shuffled": "function"}),
        ("labelled_probe", PROTOCOL),  # cells of equal size
        ("labelled_probe", {**PROTOCOL, "reader": "knn"}),
    ]
    assert [score.metric for score in outcome.scores] == ["accuracy", "accuracy-knn"]
    assert set(outcome.answers) == {"predicted", "predicted-knn", "expected", "photos", "classes", "clusters"}
    check_p_chance(outcome, outcome.answers["expected"], 12 / 20)


def test_class_probe__its_one_fit(run):
    _, calls = run("linear/original", LABELLED)
    assert calls == [("labelled_probe", PROTOCOL)]


@pytest.mark.parametrize(("ties", "option", "k"), [("random", None, 3), ("nearest", 5, 5)])
def test_knn__setups_and_jitters(run, ties, option, k):
    names = ("knn_setups", "extremes_of_jitters", "similarities", "similarity_counts")
    functions = [f"knn.{name}" for name in names]
    outcome, calls = run("knn/sharpening", functions, ties=ties, neighbours=option, assignment_seeds=2)
    order = ["all-same", "all-diff", "pos-same", "neg-same", "uniform", "uniform-test", "spd", "worst"]
    assert [score.metric for score in outcome.scores] == order
    drawn = {"train_assignments": "ndarray", "test_assignments": "ndarray"}
    setups = ("knn_setups", {**drawn, "k": k, "keep": None, "only": None, **DEVICE})
    jitters = ("extremes_of_jitters", {"k": k, "rule": ties, "seed": 13, **DEVICE})
    assert calls == [setups, jitters, ("similarities", DEVICE), ("similarity_counts", DEVICE)]
    _, calls = run("knn/original", functions, ties=ties, neighbours=option)
    assert calls == [setups]


def test_robustness__seeds_and_draws(run, monkeypatch):
    for name in ("performance_drop", "clustering_score"):
        monkeypatch.setattr(f"benchmark.robustness.{name}", lambda rows, cells, **more: None)
    names = ("neighbours_of", "performance_drop", "clustering_score", "simulated_chance")
    outcome, (_, *calls) = run("robustness/g", [f"robustness.{name}" for name in names])
    fits = {"seed": 13, "progress": "method"}
    assert calls == [("performance_drop", fits), ("clustering_score", fits), ("simulated_chance", {"draws": 20})]
    notes = outcome.scores[0].details["notes"]
    assert notes[-2:] == [
        "Performance drop: no two labels have three clusters in each of two groups.",
        "Clustering score: no two labels have photos in two groups.",
    ]


def test_copies__searches_on_the_device(run):
    outcome, calls = run("copies/processed", ["knn.nearest"])
    assert [score.metric for score in outcome.scores] == ["recall", "matched", "false-matches"]
    assert calls == [("nearest", DEVICE)] * 15  # the unprocessed photos, then each of 14 copies


def test_detect__layer_reader_and_neighbours(run):
    functions = ["probe.class_layer", "probe.labelled_probe", "knn.nearest"]
    outcome, calls = run("forensics/detect", functions, readers="linear,knn", brief=True)
    assert [score.metric for score in outcome.scores] == ["auc", "balanced", "nearest", "balanced-knn"]
    layer = {**PROTOCOL, "n_classes": 2, "clusters": pairs(TRAIN), "chosen_for": None}
    assert calls == [("class_layer", layer), ("nearest", DEVICE), ("labelled_probe", {**DEVICE, "reader": "knn"})]


def test_crossing__layers_of_other_views_use_what_was_chosen_for_the_original(run):
    outcome, calls = run("forensics/crossing", ["probe.class_layer"])
    order = ["both", "real-only", "generated-only", "bias", "bias-jpeg"]
    assert [score.metric for score in outcome.scores] == order
    layer = {**PROTOCOL, "n_classes": 2, "clusters": pairs(TRAIN)}
    assert calls == [
        ("class_layer", {**layer, "chosen_for": None}),
        *[("class_layer", {**layer, "chosen_for": "ClassLayer"})] * 14,
    ]


def test_pairs__on_a_device_with_float64(run, monkeypatch):
    devices = []
    monkeypatch.setattr("benchmark.compute.exact_device", lambda device: devices.append(device) or "exact")
    columns = {"pair_id": np.arange(N) // 2, "camera_type": np.array(["phone", "camera"] * (N // 2))}
    photos = dataclasses.replace(photos_of(), columns=columns)
    outcome, calls = run("retrieval/pairs", ["retrieval.pair_retrieval", "retrieval.nearest_of_same_type"], photos)
    of_each = [f"{of}-{what}" for of in ("same", "different") for what in ("at-5", "mrr", "to-phone", "to-camera")]
    assert [score.metric for score in outcome.scores] == ["same", "different", "spd", "all", *of_each]
    assert calls == [("pair_retrieval", {"device": "exact"}), ("nearest_of_same_type", {"device": "exact"})]
    assert devices == ["cuda"] * 2


@pytest.mark.parametrize(("queries", "part"), [(None, slice(6, 13)), (9, slice(3, 6))])
def test_knn__a_part_of_the_queries_is_stored(queries, part, monkeypatch, tmp_path):
    """Part 1 of 3 of the 20 queries, or of a sample of nine."""
    calls = []
    monkeypatch.setattr("benchmark.knn.knn_setups", lambda *args, **more: calls.append((args, more)))
    bank = SimpleNamespace(view=lambda view, at: rows_of(view)[at], dim=5, names=())
    options = RunOptions(queries=queries, assignment_seeds=3, neighbours=4)
    inputs = TaskInput(photos_of(), np.ones(N, bool), bank, options, "cpu", checkpoints=tmp_path)
    assert all_tasks()["knn/sharpening"].run_part(inputs, 1, 3) is None
    (((train, test, train_labels, test_labels), more),) = calls
    assert (more["only"], more["keep"], more["k"], more["device"]) == (part, tmp_path, 4, "cpu")
    assert [len(bank) for bank in (*train, *test)] == [TRAIN] * 3 + [queries or N - TRAIN] * 3
    assert (more["train_assignments"].shape, more["test_assignments"].shape) == ((3, TRAIN), (3, queries or N - TRAIN))
    labels = photos_of().labels.values
    assert train_labels.tolist() == labels[:TRAIN].tolist()
    assert len(test_labels) == (queries or N - TRAIN)
