"""The metrics: against hand-computed values and the benchmark's own tasks, and as ``evaluate`` loads them anywhere."""

from pathlib import Path

import evaluate
import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from benchmark.cli.sharing.publish_metrics import main
from benchmark.knn import extremes_of_jitters, knn_setups
from benchmark.metrics import (
    DEFINITIONS,
    KnnSetups,
    PairRetrieval,
    TraceProbe,
    knn_setup_scores,
    pair_scores,
    probe_scores,
)
from benchmark.publishing import write_space
from benchmark.publishing.metric_spaces import card_facts
from benchmark.retrieval import pair_retrieval
from benchmark.stats import photo_interval, photo_intervals
from builders.errors import DataError
from builders.pixels import PARAMETERS, Parameter, assigned_class
from tests.support.hub import OWNER_TOKEN
from tests.support.processes import run_python

ROOT = Path(__file__).parents[3]


def test_trace_probe__agrees_with_scikit_learn_and_resamples_photos():
    rng = np.random.default_rng(0)
    references = rng.integers(0, 3, 120)
    predictions = np.where(rng.random(120) < 0.6, references, rng.integers(0, 3, 120))
    photos = np.repeat(np.arange(40), 3)
    scores = TraceProbe().compute(predictions=predictions, references=references, photo_ids=photos)
    assert scores["accuracy"] == pytest.approx((predictions == references).mean())
    assert scores["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(references, predictions))
    assert (scores["chance"], scores["n"], scores["rows"]) == (pytest.approx(1 / 3), 40, 120)
    whole = photo_interval((predictions == references).reshape(40, 3).mean(axis=1))
    assert (scores["low"], scores["high"]) == pytest.approx((whole.low, whole.high))


def test_trace_probe__copies_of_a_photo_do_not_narrow_the_interval():
    right = np.random.default_rng(1).random(30) < 0.5
    once = probe_scores(right, np.ones(30, bool), range(30), 2)
    copied = probe_scores(np.repeat(right, 50), np.ones(1500, bool), np.repeat(range(30), 50), 2)
    assert copied["high"] - copied["low"] == pytest.approx(once["high"] - once["low"], abs=1e-6)


def test_trace_probe__names_of_classes_and_unequal_numbers_of_views():
    scores = TraceProbe().compute(
        predictions=["x4", "none", "x4"], references=["x4", "x4", "x4"], photo_ids=["a", "b", "b"], n_classes=3
    )
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["chance"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (([], [], []), "at least one"),
        (([0], [0, 1], ["a", "b"]), "many"),
        (([0, 1], [0, 1], ["a", "b"], 1), "hold 2 classes"),
    ],
)
def test_probe_scores__refuses(arguments, reason):
    with pytest.raises(DataError, match=reason):
        probe_scores(*arguments)


def _views(classes=3, train=14, test=9, dim=5):
    """Shuffled rows of every photo in every class."""
    rng = np.random.default_rng(2)
    rows = [(f"p{i}", c, "train" if i < train else "test") for i in range(train + test) for c in range(classes)]
    labels = {f"p{i}": int(rng.integers(0, 2)) for i in range(train + test)}
    embeddings = rng.normal(size=(len(rows), dim)).astype(np.float32)
    # photos appear in their order, classes of each in any order: the order of ties is that of photos
    order = np.concatenate([i * classes + rng.permutation(classes) for i in range(train + test)])
    ids, kinds, splits = zip(*(rows[i] for i in order), strict=True)
    return embeddings[order], [labels[i] for i in ids], list(ids), list(kinds), list(splits)


def intervals_of(values):
    """Of shares together, as they are drawn, and of a difference."""
    shares = [name for name in values if name != "spd"]
    ends = dict(zip(shares, photo_intervals([values[name] for name in shares]), strict=True))
    ends["spd"] = photo_interval(values["spd"], bounds=(-1.0, 1.0))
    return {name: [interval.low, interval.high] for name, interval in ends.items()}


@pytest.mark.parametrize(
    ("given", "parameter"),
    [
        ({"parameter": "resizing"}, PARAMETERS["resizing"]),
        ({"seeds": 4}, Parameter("metric", ("0", "1", "2"), ())),  # without a name, other classes are drawn
    ],
)
def test_knn_setups__is_the_benchmarks_own_arithmetic_and_assignments(given, parameter):
    embeddings, labels, ids, kinds, splits = _views()
    scores = KnnSetups().compute(
        predictions=embeddings, references=labels, photo_ids=ids, classes=kinds, splits=splits, k=3, **given
    )
    where = {(i, c): row for row, (i, c) in enumerate(zip(ids, kinds, strict=True))}
    photos = {s: list(dict.fromkeys(i for i, t in zip(ids, splits, strict=True) if t == s)) for s in ("train", "test")}

    def bank(split):
        return [embeddings[[where[i, c] for i in photos[split]]] for c in range(3)]

    def label(split):
        return np.array([labels[where[i, 0]] for i in photos[split]])

    def drawn(split):
        return np.array(
            [[assigned_class(i, parameter, s) for i in photos[split]] for s in range(given.get("seeds", 10))]
        )

    changed = knn_setups(
        bank("train"), bank("test"), label("train"), label("test"),
        train_assignments=drawn("train"), test_assignments=drawn("test"), k=3,
    )  # fmt: skip
    assert {name: scores[name] for name in changed.values} == pytest.approx(changed.values)
    assert scores["spd"] == pytest.approx(changed.values["spd"])
    assert scores["ties"] == {name: pytest.approx(ties._asdict()) for name, ties in changed.ties.items()}
    assert scores["chance"] == pytest.approx(changed.chance)
    assert (scores["n"], scores["train_photos"], scores["k"]) == (9, 14, 3)
    jitter = extremes_of_jitters(bank("train"), bank("test"), label("train"), label("test"), k=3)
    assert scores["worst_jitter"] == pytest.approx(jitter.worst.mean())
    assert scores["intervals"] == intervals_of(changed.per_photo())


def test_knn_setups__of_one_class_has_nothing_that_compares_classes():
    embeddings, labels, ids, kinds, splits = _views(classes=1)
    scores = knn_setup_scores(embeddings, labels, ids, kinds, splits, k=1)
    assert not {"spd", "worst_jitter", "pos-same"} & {*scores, *scores["intervals"]}
    assert scores["all-same"] == scores["uniform"]


def test_knn_setup_scores__refuses_numbers_and_photos_that_are_there_twice():
    embeddings, *columns = _views()
    with pytest.raises(DataError, match=r"\(69,\)"):
        knn_setup_scores(embeddings[:, 0], *columns, k=1)
    labels, ids, kinds, splits = columns
    with pytest.raises(DataError, match="every train photo"):
        knn_setup_scores(embeddings, labels, ids, [0, 0, *kinds[2:]], splits, k=1)
    with pytest.raises(DataError, match="every test photo"):  # as many views as needed, and one too many
        knn_setup_scores([*embeddings, embeddings[-1]], *([*each, each[-1]] for each in columns), k=1)
    with pytest.raises(DataError, match=r"\(0, 5\)"):
        knn_setup_scores(embeddings[:0], [], [], [], [])
    with pytest.raises(DataError, match="-3"):  # which would be row 0 of three
        knn_setup_scores(embeddings, labels, ids, [c or -3 for c in kinds], splits, k=1)
    with pytest.raises(DataError, match="'test'"):
        knn_setup_scores(embeddings, labels, ids, kinds, ["train"] * 69, k=1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"drop": 1}, "3 classes"),
        ({"parameter": "jpeg"}, "parameter"),
        ({"split": "val"}, "not 'val'"),
    ],
)
def test_knn_setup_scores__refuses(change, reason):
    columns = [list(column) for column in _views()]
    if "drop" in change:
        columns = [column[1:] for column in columns]
    if "split" in change:
        columns[4][0] = change["split"]
    with pytest.raises(DataError, match=reason):
        knn_setup_scores(*columns, k=1, parameter=change.get("parameter"))


def test_pair_retrieval__is_the_benchmarks_own_arithmetic():
    rng = np.random.default_rng(3)
    embeddings = rng.normal(size=(20, 4)).astype(np.float32)
    pairs, types = np.repeat(np.arange(10), 2), ["camera", "phone"] * 10
    scores = PairRetrieval().compute(predictions=embeddings, references=pairs, camera_types=types)
    changed = pair_retrieval(embeddings, pairs, np.array(types))
    assert {name: scores[name] for name in changed.values} == pytest.approx(changed.values)
    assert scores["chance"] == pytest.approx(changed.chance)
    assert scores["n"] == 10
    assert scores["intervals"] == intervals_of(changed.per_pair())


@pytest.fixture(scope="session")
def modules_cache(tmp_path_factory):
    """Where ``evaluate`` puts the scripts that it loads; it imports from the first such folder for good."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate.config, "HF_MODULES_CACHE", tmp_path_factory.mktemp("modules"))
        yield


def printed_by(code, capsys):
    capsys.readouterr()
    exec(code, {})
    return capsys.readouterr().out.strip()


@pytest.mark.parametrize("metric", DEFINITIONS)
def test_load__a_local_folder_runs_the_cards_example(metric, modules_cache, monkeypatch, capsys):
    facts = card_facts(metric, f"benchmark/metrics/{metric}")
    monkeypatch.chdir(ROOT)
    assert printed_by(facts["example"], capsys) == facts["output"]


def test_publish_metrics__dry_run_by_default(capsys):
    assert main(["--repo", "me"]) == 0
    out = capsys.readouterr().out
    assert [f"me/{metric}" in out for metric in DEFINITIONS] == [True] * 3
    assert "dry run" in out


@pytest.mark.slow
def test_publish_metrics__a_stranger_loads_it_from_the_space(hub, tmp_path):
    def run(*command):
        environment = hub.environment(tmp_path / "home") | {"PYTHONPATH": str(ROOT)}
        done = run_python(*command, env=environment, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert OWNER_TOKEN not in done.stdout + done.stderr
        return done.stdout

    publish = ("-m", "benchmark.__main__", "publish-metrics", "--repo", "me/pair_retrieval", "--push", "--public")
    assert "4 uploaded" in run(*publish)
    assert "0 uploaded, 4 unchanged" in run(*publish)
    assert set(hub.repo("me/pair_retrieval", "space").files) >= {"pair_retrieval.py", "requirements.txt", "README.md"}
    facts = card_facts("pair_retrieval", "me/pair_retrieval")
    assert run("-c", facts["example"]).strip() == facts["output"]


def test_metric_class__takes_each_kind_of_column():
    """Labels and ids, as numbers and as names; all columns of one kind alike."""
    forms = [tuple(feature.dtype for feature in form.values()) for form in TraceProbe().features]
    assert forms == [
        ("int64", "int64", "string"),
        ("int64", "int64", "int64"),
        ("string", "string", "string"),
        ("string", "string", "int64"),
    ]


def test_script__without_camtrace_says_what_to_install(tmp_path):
    """A Space loads by name where only ``evaluate`` is installed: the script answers, not a traceback about rooms."""
    write_space("trace_probe", "me/trace_probe", tmp_path)
    program = "import runpy, sys; sys.modules['benchmark'] = None; runpy.run_path('trace_probe.py')"
    done = run_python("-c", program, cwd=tmp_path)
    assert "'camtrace[encoders]'" in done.stderr.splitlines()[-1]


def refusal(function, *args, **more) -> str:
    with pytest.raises(DataError) as refused:
        function(*args, **more)
    return str(refused.value)


def test_probe_scores__photos_with_other_numbers_of_views_by_hand():
    """Views of one photo need not stand together; a weighs one view, b three, c two."""
    photos = ["b", "a", "c", "b", "c", "b"]
    expected = ["x", "y", "y", "y", "z", "x"]
    predicted = ["x", "y", "x", "y", "z", "z"]
    made = probe_scores(predicted, expected, photos)
    # right: b yes, a yes, c no, b yes, c yes, b no
    ends = photo_interval(np.array([1.0, 2.0, 1.0]), np.array([1.0, 3.0, 2.0]))
    assert made == {
        "accuracy": 4 / 6,
        "balanced_accuracy": pytest.approx((1 / 2 + 2 / 3 + 1) / 3),
        "low": ends.low,
        "high": ends.high,
        "chance": 1 / 3,
        "n": 3,
        "rows": 6,
    }
    assert list(made) == ["accuracy", "balanced_accuracy", "low", "high", "chance", "n", "rows"]
    assert probe_scores(predicted, expected, photos, 3)["chance"] == 1 / 3
    assert probe_scores(predicted, expected, photos, 8)["chance"] == 1 / 8


def views(train: int, test: int, classes: int, dim: int = 4, seed: int = 0):
    """Rows of photos in every class, photos in the order 0, 1, ..., classes in falling order."""
    rng = np.random.default_rng(seed)
    photos = [i for i in range(train + test) for _ in range(classes)]
    kinds = [c for _ in range(train + test) for c in reversed(range(classes))]
    splits = ["test" if i % 3 == 0 and i // 3 < test else "train" for i in photos]
    labels = [f"label {i * 7 % 3}" for i in photos]
    return rng.normal(size=(len(photos), dim)), labels, photos, kinds, splits


@pytest.mark.parametrize("classes", [1, 2])
def test_knn_setup_scores__every_number_of_the_answers(classes):
    """Ids that are numbers are drawn by their text; photos stand in the order of their first row."""
    rows, labels, photos, kinds, splits = views(14, 5, classes)
    made = knn_setup_scores(rows, labels, photos, kinds, splits, k=2, seeds=3)
    of = {s: [i for i in dict.fromkeys(photos) if splits[photos.index(i)] == s] for s in ("train", "test")}
    at = {(i, c): row for row, (i, c) in enumerate(zip(photos, kinds, strict=True))}
    question = Parameter("metric", tuple(map(str, range(classes))), ())
    banks = {s: [np.float32(rows)[[at[i, c] for i in of[s]]] for c in range(classes)] for s in of}
    codes = {s: np.array([i * 7 % 3 for i in of[s]]) for s in of}
    drawn = {s: np.array([[assigned_class(str(i), question, seed) for i in of[s]] for seed in range(3)]) for s in of}
    answers = knn_setups(banks["train"], banks["test"], codes["train"], codes["test"], k=2,
                         train_assignments=drawn["train"], test_assignments=drawn["test"])  # fmt: skip
    expected = {**answers.values, "chance": answers.chance, "n": 5, "train_photos": 14, "k": 2}
    assert {name: made[name] for name in expected} == pytest.approx(expected)
    assert set(made) == {*expected, "intervals", "ties", *(["worst_jitter"] if classes > 1 else [])}
    assert set(made["intervals"]) == set(answers.values)
    assert made["ties"] == {name: ties._asdict() for name, ties in answers.ties.items()}
    assert all(set(ties) == {"share", "least", "greatest", "random"} for ties in made["ties"].values())


def test_pair_scores__every_number_of_the_answers():
    rows = [[1, 0, 0], [3, 4, 0], [4, 0, 3], [0, 0, 1]]
    made = pair_scores(rows, [7, 7, 8, 8], list("abab"))
    # pair 7: a finds b in same and loses in different; pair 8 finds and loses the other way round
    expected = {"same": 1.0, "different": 0.5, "spd": 0.5, "n": 2}
    assert {name: made[name] for name in expected} == expected
    names = {"same", "different", "spd", "all"}
    names |= {f"{c}-{m}" for c in ("same", "different") for m in ("at-5", "mrr", "to-a", "to-b")}
    assert set(made) == {*names, "intervals", "chance", "n"}
    assert set(made["intervals"]) == set(made["chance"]) == names
    assert made["chance"]["same"] == 0.5
    low, high = made["intervals"]["spd"]
    assert low < 0 < high  # a difference may be below 0
    assert "retrieval" in refusal(pair_scores, rows, [7, 7, 8], list("abab"))
