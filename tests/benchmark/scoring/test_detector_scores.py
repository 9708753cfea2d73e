"""``scores:FILE``: a detector made elsewhere goes through the controls of the tasks about generated photos."""

import csv
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from benchmark.cli import compare as compare_command
from benchmark.cli.score import main as score
from benchmark.cli.sharing import verify as verify_command
from benchmark.encoders import load_encoder
from benchmark.results import read_result
from builders.data_specs import open_photos
from builders.errors import EncoderError, UsageError

N = 120
VIEWS = ("original", "jpeg-q75-420", "sharpening-x4")
DATA = "table:T.csv?id=photo&label=kind&group=generator=made_by&source=source&split=split"
OPTIONS = ("-d", DATA, "--cache", "cache", "--workers", "0")


@pytest.fixture
def work(tmp_path, monkeypatch, unpainted):
    """A table of photos, and scores that know the class; jpeg raises them, sharpening lowers them."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    made = np.arange(N) % 2 == 1
    named = np.where(made, [f"generator {i // 2 % 2}" for i in range(N)], "")
    source = np.where(made, "", [f"camera {i // 2 % 2}" for i in range(N)])
    split = np.where(np.arange(N) // 4 % 2, "val", "train")
    write("T.csv", photo=[f"p{i}" for i in range(N)], kind=np.where(made, "fake", "real"), made_by=named,
          source=source, split=split)  # fmt: skip
    table = {"made": made, "named": named, "source": source, "test": split == "val"}
    table["original"] = np.round(made + rng.normal(size=N), 6)
    table["jpeg-q75-420"] = table["original"] + 0.7
    table["sharpening-x4"] = np.round(table["original"] - 0.4 + rng.normal(size=N), 6)
    write("S.csv", **rows_of(table))
    return table


def write(path, **columns):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def rows_of(table, views=VIEWS, at=range(N)):
    ids, names, scores = zip(*[(f"p{i}", view, table[view][i]) for view in views for i in at], strict=True)
    return {"photo_id": ids, "view": names, "score": scores}


def scored(model, output="out", *more):
    assert score(["-m", model, *OPTIONS, "-q", "-o", output, *more]) == 0
    result = read_result(Path(output) / "result.json")
    return result, {(s.task.partition("/")[2], s.metric): s for s in result.scores}


def test_scores__equal_plain_loops_over_the_file(work):
    result, scores = scored("scores:S.csv?threshold=0.5")
    test, made = work["test"], work["made"][work["test"]]
    original = work["original"][test]
    assert scores["detect", "auc"].value == pytest.approx(roc_auc_score(made, original), abs=1e-9)
    right = (original > 0.5) == made
    assert scores["detect", "balanced"].value == pytest.approx((right[made].mean() + right[~made].mean()) / 2, abs=1e-9)
    by_generator = [
        roc_auc_score(made[at], original[at])
        for name in ("generator 0", "generator 1")
        for at in [~made | (work["named"][test] == name)]
    ]
    assert scores["leave-one-out", "auc"].value == pytest.approx(np.mean(by_generator), abs=1e-9)
    assert scores["leave-one-out", "worst"].value == pytest.approx(min(by_generator), abs=1e-9)
    real = ~made
    second = (work["source"][test] == "camera 1")[real]
    train = ~test & ~work["made"]
    sign = 1 if roc_auc_score(work["source"][train] == "camera 1", work["original"][train]) >= 0.5 else -1
    assert scores["floor", "auc"].value == pytest.approx(roc_auc_score(second, sign * original[real]), abs=1e-9)
    margin = scores["detect", "auc"].value - scores["floor", "auc"].value
    assert scores["detect", "margin"].value == pytest.approx(margin, abs=1e-9)
    assert not {("detect", "nearest"), ("leave-one-out", "loss")} & set(scores)
    biases = []
    for view in VIEWS[1:]:
        processed = work[view][test]
        generated_only = roc_auc_score(made, np.where(made, processed, original))
        biases.append(generated_only - roc_auc_score(made, np.where(made, original, processed)))
    rows = scores["crossing", "bias"].details["by_processing"]
    assert [rows[view]["bias"] for view in VIEWS[1:]] == pytest.approx(biases, abs=1e-6)
    assert scores["crossing", "bias"].value == pytest.approx(np.mean(biases), abs=1e-9)
    assert scores["crossing", "bias-jpeg"].value == pytest.approx(biases[0], abs=1e-9)
    assert "matrix" not in scores["crossing", "both"].details
    assert result.encoder["library"] == "scores"
    assert "scores:PATH?threshold=0.5" in result.environment["command"]


def test_threshold__is_chosen_on_training_photos_unless_it_is_stated(work):
    _, scores = scored("scores:S.csv")
    train, made = ~work["test"], work["made"]
    values = np.unique(work["original"][train])
    cuts = (values[:-1] + values[1:]) / 2

    def balanced(cut, at):
        right = (work["original"][at] > cut) == made[at]
        return (right[made[at]].mean() + right[~made[at]].mean()) / 2

    chosen = cuts[int(np.argmax([balanced(cut, train) for cut in cuts]))]
    assert scores["detect", "auc"].details["threshold"] == pytest.approx(chosen, abs=1e-6)
    assert scores["detect", "balanced"].value == pytest.approx(balanced(chosen, work["test"]), abs=1e-9)


def test_generators_that_it_was_trained_on__are_no_unseen_ones(work):
    _, scores = scored("scores:S.csv?trained_on=generator+0")
    (row,) = scores["leave-one-out", "auc"].details["by_generator"]
    assert row["generator"] == "generator 1"
    assert "notes" not in scores["leave-one-out", "auc"].details
    _, scores = scored("scores:S.csv", "unknown")
    assert "not known which generators" in scores["leave-one-out", "auc"].details["notes"][0]


def test_scores_of_test_photos_alone__need_a_stated_threshold(work, capsys):
    write("S.csv", **rows_of(work, VIEWS[:1], np.flatnonzero(work["test"])))
    _, scores = scored("scores:S.csv?threshold=0.5")
    assert scores["detect", "auc"].n == work["test"].sum()
    assert ("crossing", "both") not in scores
    arguments = ["-m", "scores:S.csv", *OPTIONS, "-o", "none"]
    assert score(arguments) != 0
    assert "scores:FILE?threshold=0.5" in capsys.readouterr().out


def test_missing_views__are_named_and_the_means_are_compared_with_no_others(work, capsys):
    scored("scores:S.csv?threshold=0.5", "three")
    capsys.readouterr()
    write("S.csv", **rows_of(work, VIEWS[:2]))
    assert score(["-m", "scores:S.csv?threshold=0.5", *OPTIONS, "-o", "two"]) == 0
    printed = capsys.readouterr()
    report = Path("two/report.md").read_text()
    assert "forensics/crossing" in printed.err
    assert "Without scores under jpeg-q75-444" in report
    assert compare_command.main(["three", "two"]) == 0
    printed = capsys.readouterr()
    assert "forensics/crossing both" in printed.err and "they are not compared" in printed.err  # noqa: PT018
    assert "forensics/detect auc" in printed.out
    assert "forensics/crossing" not in printed.out


def test_a_detector_and_an_encoder__stand_in_one_run_and_are_verified(work, capsys):
    rng = np.random.default_rng(1)
    vectors = np.column_stack([work["original"], rng.normal(size=N)]).astype(np.float32)
    pq.write_table(pa.table({"photo_id": [f"p{i}" for i in range(N)], "embedding": vectors.tolist()}), "E.parquet")
    models = ["-m", "scores:S.csv?threshold=0.5", "-m", "embeddings:E.parquet"]
    assert (
        score([*models, "-d", DATA, "-t", "forensics/detect", "--cache", "cache", "--workers", "0", "-o", "out"]) == 0
    )
    printed = capsys.readouterr().out
    assert "scores:S.csv@" in printed and "embeddings:E.parquet@" in printed  # noqa: PT018
    assert verify_command.main(["out"]) == 0


def test_parquet_and_csv__are_the_same_scores(work):
    table = pa.table({name: list(values) for name, values in rows_of(work).items()})
    pq.write_table(table, "S.parquet")
    one, other = (load_encoder(f"scores:{name}").stored for name in ("S.csv", "S.parquet"))
    assert one.rows == other.rows
    assert np.array_equal(one.vectors, other.vectors)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda rows: {**rows, "score": ["nan", *rows["score"][1:]]},
            "p0",
        ),
        (lambda rows: {**rows, "score": ["-inf", *rows["score"][1:]]}, "'-inf'"),
        (lambda rows: {**rows, "score": ["", *rows["score"][1:]]}, "p0"),
        (lambda rows: {**rows, "score": ["1_0", *rows["score"][1:]]}, "'1_0'"),
        (lambda rows: {**rows, "photo_id": ["p1", *rows["photo_id"][1:]]}, "p1"),
        (lambda rows: {**rows, "photo_id": ["", *rows["photo_id"][1:]]}, "photo"),
        (lambda rows: {**rows, "view": ["jpeg-q75", *rows["view"][1:]]}, "unknown view 'jpeg-q75'"),
        (
            lambda rows: {**rows, "view": ["sharpening-x2"] * len(rows["view"])},
            "two scores|no score of a photo as it is",
        ),
        (lambda rows: {"photo_id": rows["photo_id"]}, "column"),
        (lambda rows: {"name": rows["photo_id"], "score": rows["score"]}, "id=COLUMN"),
        (lambda rows: {name: [] for name in rows}, "holds"),
    ],
)
def test_faults_of_the_file__are_one_sentence(change, sentence, work):
    write("S.csv", **change(rows_of(work)))
    with pytest.raises(EncoderError, match=sentence) as error:
        load_encoder("scores:S.csv")
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("scores:S.csv: ")


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("scores:", "needs a file"),
        ("scores:S.csv?threshold=half", "threshold"),
        ("scores:S.csv?treshold=1", "'threshold'"),
    ],
)
def test_options__are_checked(spec, sentence, work):
    with pytest.raises(UsageError, match=sentence):
        load_encoder(spec)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            lambda t: rows_of(t, VIEWS, range(N - 1)),
            "it has no score of 1 of 60 test photos under original .the first: 'p119'",
        ),
        (lambda t: {**rows_of(t), "photo_id": ["x" + i for i in rows_of(t)["photo_id"]]}, "holds no id of table:T.csv"),
    ],
)
def test_photos_without_scores__end_the_run_with_one_sentence(rows, sentence, work, capsys):
    write("S.csv", **rows(work))
    arguments = ["-m", "scores:S.csv?threshold=0.5", *OPTIONS, "-o", "none"]
    assert score(arguments) != 0
    printed = capsys.readouterr()
    assert re.search(sentence, printed.out + printed.err)


def test_ids_of_no_photo__are_counted_and_not_read(work, capsys):
    rows = rows_of(work)
    write("S.csv", photo_id=[*rows["photo_id"], "q"], view=[*rows["view"], "original"], score=[*rows["score"], 0.5])
    assert score(["-m", "scores:S.csv", *OPTIONS, "-o", "out"]) == 0
    assert "table:T.csv" in capsys.readouterr().err


def test_other_tasks__are_refused(work, capsys):
    assert open_photos(DATA).name == "table:T.csv"
    arguments = ["-m", "scores:S.csv", *OPTIONS, "-t", "knn/original", "-o", "none"]
    assert score(arguments) != 0
    assert "generated" in capsys.readouterr().err
