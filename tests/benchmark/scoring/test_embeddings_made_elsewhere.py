"""``embeddings:FILE`` end to end: views built without loss, embedded by hand, scored as the same encoder is here."""

import shutil

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from benchmark.cli.score import main as score
from benchmark.encoders import load_encoder
from benchmark.results import read_result
from builders.__main__ import main as build
from builders.data_specs import open_photos
from builders.errors import CamtraceError, EncoderError, UsageError
from builders.pixels import PARAMETERS

ENCODER = """
import numpy as np

def encode(image):
    pixels = np.asarray(image.resize((8, 8)), dtype=np.float32) / 255
    grey = np.asarray(image.convert("L"), dtype=np.float32)
    return np.r_[pixels.ravel(), np.abs(np.diff(grey, axis=0)).mean(), np.abs(np.diff(grey, axis=1)).mean()]
"""
pytestmark = pytest.mark.usefixtures("unpainted", "brief")

TASKS = ["-t", "probe/sharpening", "-t", "knn/sharpening"]


@pytest.fixture(scope="module")
def work(tmp_path_factory, photo_folder):
    """A folder with an encoder, and the views of small photos under one parameter, as files and without loss."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "encoder_by_hand.py").write_text(ENCODER)
    given = ["folder", "--source", str(photo_folder), "--parameter", "sharpening", "--assignment", "every"]
    for name, more in (("views", ["--lossless"]), ("files", [])):
        assert build([*given, "--output", str(folder / name), "--workers", "1", *more]) == 0
    return folder


def encode(image: Image.Image) -> np.ndarray:
    names: dict = {}
    exec(ENCODER, names)
    return names["encode"](image)


@pytest.fixture(scope="module")
def table(work) -> pa.Table:
    """What somebody makes of a built set, as docs/how-to/external-embeddings.md has it: ids, class, embedding."""
    parts = datasets.load_dataset(str(work / "views"), "sharpening").values()
    made = [p.map(lambda row: {"embedding": encode(row["image"])}, remove_columns="image") for p in parts]
    datasets.concatenate_datasets(made).to_parquet(work / "embedded.parquet")
    return pq.read_table(work / "embedded.parquet")


def scored(work, monkeypatch, model: str, data: str, name: str, *more: str):
    monkeypatch.chdir(work)
    given = ["-d", data, *TASKS, "--cache", "cache", "--workers", "0", "-q", "-o", name, *more]
    assert score(["-m", model, *given]) == 0
    result = read_result(work / name / "result.json")
    return result, dict(np.load(work / name / "answers.npz"))


@pytest.mark.slow
def test_embeddings__of_a_built_set_score_as_the_encoder_does_here(work, table, monkeypatch):
    """Exactly: every score, interval and answer, on the built set, on the files, and on the photos themselves."""
    expected, answers = scored(work, monkeypatch, "encoder_by_hand:encode", "built:files", "here")
    for data in ("built:views", "built:files"):
        measured, reference = scored(work, monkeypatch, "embeddings:embedded.parquet", data, "there")
        assert len(measured.scores) == len(expected.scores) > 5
        for one, other in zip(measured.scores, expected.scores, strict=True):
            assert (one.task, one.metric, one.value, one.low, one.high, one.n) == (
                other.task, other.metric, other.value, other.low, other.high, other.n
            )  # fmt: skip
        assert answers.keys() == reference.keys()
        assert all(np.array_equal(answers[name], reference[name]) for name in answers)
    assert measured.encoder["id"].startswith("embeddings:embedded.parquet@")
    assert measured.encoder["details"]["unknown"] == ["model", "weights", "preprocessing", "training data"]
    assert measured.encoder["group"] == "unknown"
    assert "runtime" not in measured.environment
    assert "--model embeddings:PATH" in measured.environment["command"]


@pytest.mark.slow
def test_embeddings__of_plain_photos_and_what_is_declared_of_them(work, table, photo_folder, monkeypatch, capsys):
    expected, _ = scored(work, monkeypatch, "encoder_by_hand:encode", f"folder:{photo_folder}", "here")
    model = "embeddings:embedded.parquet?group=SSL&training_data=my+photos&model=their+API"
    measured, _ = scored(work, monkeypatch, model, f"folder:{photo_folder}", "there")
    assert "not known" not in capsys.readouterr().err  # -q
    assert [(s.task, s.metric, s.value) for s in measured.scores] == [
        (s.task, s.metric, s.value) for s in expected.scores
    ]
    assert (measured.encoder["group"], measured.encoder["training_data"]) == ("SSL", "my photos")
    assert measured.encoder["details"]["unknown"] == ["weights", "preprocessing"]
    assert measured.encoder["details"]["told"]["model"] == "their API"
    # all tasks that the photos could answer: those that the file cannot are left out, and said
    given = ["-d", f"folder:{photo_folder}", "--cache", "cache", "--workers", "0", "-o", "all"]
    assert score(["-m", "embeddings:embedded.parquet", *given]) == 0
    result = read_result(work / "all" / "result.json")
    assert {s.task for s in result.scores} == {"probe/sharpening", "knn/sharpening"}
    printed = capsys.readouterr().err
    assert "views" in printed
    assert "embeddings:embedded.parquet" in printed
    given = ["-d", f"folder:{photo_folder}", "-t", "probe/jpeg", "--cache", "cache", "-o", "none", "-q"]
    assert score(["-m", "embeddings:embedded.parquet", *given]) == 1
    assert "about" in capsys.readouterr().err


def test_embeddings__npy_with_ids_next_to_it(work, table, monkeypatch):
    vectors = np.array(table.column("embedding").to_pylist())
    np.save(work / "e.npy", vectors)
    names = PARAMETERS["sharpening"].classes
    lines = [
        f"{i},{names[c]}" for i, c in zip(table["photo_id"].to_pylist(), table["sharpening"].to_pylist(), strict=True)
    ]
    (work / "e.csv").write_text("photo_id,sharpening\n" + "\n".join(lines) + "\n")
    computed = load_encoder("embeddings:" + str(work / "embedded.parquet")).stored
    reference = load_encoder("embeddings:" + str(work / "e.npy")).stored
    assert reference.rows == computed.rows
    assert np.array_equal(reference.vectors, computed.vectors)
    (work / "parts").mkdir()
    pq.write_table(table.slice(0, 50), work / "parts" / "a.parquet")
    pq.write_table(table.slice(50), work / "parts" / "b.parquet")
    parts = load_encoder("embeddings:" + str(work / "parts")).stored
    assert parts.rows == computed.rows
    assert np.array_equal(parts.vectors, computed.vectors)


def test_embeddings__views_and_photos_by_hand(tmp_path):
    rows = [("a", None, None, [1.0]), ("a", 0, None, [2.0]), ("a", None, "none", [3.0]), ("b", 5, None, [4.0])]
    ids, jpeg, sharpening, vectors = zip(*rows, strict=True)
    pq.write_table(
        pa.table({"photo_id": ids, "jpeg": jpeg, "sharpening": sharpening, "embedding": vectors}),
        tmp_path / "v.parquet",
    )
    stored = load_encoder(f"embeddings:{tmp_path}/v.parquet").stored
    assert stored.rows == {
        "photo": {"a": 0},
        "original": {"a": 0},
        "jpeg-q75-420": {"a": 1},
        "jpeg-q95-444": {"a": 2, "b": 3},
    }
    measured, missing = stored.of("jpeg-q95-444", ["b", "c", "a"])
    assert (measured.tolist(), missing) == ([[4], [0], [3]], ["c"])
    assert stored.of("resizing-x2", ["a"])[1] == ["a"]


def write(path, ids=("a", "b"), vectors=((1.0, 2.0), (3.0, 4.0)), **columns):
    pq.write_table(
        pa.table({"photo_id": list(ids), "embedding": [list(v) if v else v for v in vectors], **columns}), path
    )


@pytest.mark.parametrize(
    ("make", "output"),
    [
        (lambda p: p.write_bytes(b"PAR1 not"), "Parquet"),
        (lambda p: p.mkdir(), "parquet"),
        (lambda p: pq.write_table(pa.table({"id": ["a"]}), p), "embedding"),
        (lambda p: pq.write_table(pa.table({"photo_id": ["a"], "embedding": ["x"]}), p), "string"),
        (lambda p: pq.write_table(pa.table({"photo_id": ["a"], "embedding": [["x"]]}), p), "string"),
        (lambda p: write(p, [], []), "holds"),
        (lambda p: write(p, vectors=((1.0,), (3.0, 4.0))), "embedding"),
        (lambda p: write(p, vectors=((1.0, 2.0), None)), "row 2"),
        (lambda p: write(p, vectors=((1.0, 2.0), (None, 1.0))), "numbers"),
        (lambda p: write(p, vectors=((1.0, 2.0), (float("nan"), 4.0))), "embedding"),
        (lambda p: write(p, vectors=((1.0, 2.0), (1e39, 4.0))), "embedding"),
        (lambda p: write(p, ids=("a", "a")), "a stands there twice"),
        (lambda p: write(p, ids=("a", None)), "photo_id"),
        (lambda p: write(p, ids=("a", "")), "photo_id"),
        (lambda p: write(p, ids=("a", "a"), jpeg=[2, 2]), "jpeg-q85-420"),
        (lambda p: write(p, ids=("a", "a"), jpeg=[5, None], sharpening=[None, 0]), "embeddings"),
        (lambda p: write(p, jpeg=[0, 6]), "q75-420"),
        (lambda p: write(p, jpeg=["q75-420", "q1"]), "b has jpeg 'q1'"),
    ],
)
def test_embeddings__bad_files_are_one_sentence(tmp_path, make, output):
    make(tmp_path / "f.parquet")
    with pytest.raises(EncoderError, match=output) as raised:
        load_encoder(f"embeddings:{tmp_path}/f.parquet")
    assert "\n" not in str(raised.value)
    assert str(tmp_path) not in str(raised.value)


@pytest.mark.parametrize(
    ("array", "lines", "output"),
    [
        (np.ones((2, 3)), None, "folder"),
        (np.ones((2, 3)), "photo_id\na\n", "embeddings"),
        (np.ones((1, 3)), "id\na\n", "photo_id"),
        (np.ones(3), "photo_id\na\n", "float64"),
        (np.ones((1, 3), complex), "photo_id\na\n", "holds complex128"),
        (np.array([[{}]], dtype=object), "photo_id\na\n", "cannot"),
    ],
)
def test_embeddings__bad_arrays_are_one_sentence(tmp_path, array, lines, output):
    np.save(tmp_path / "f.npy", array)
    if lines is not None:
        (tmp_path / "f.csv").write_text(lines)
    with pytest.raises(EncoderError, match=output):
        load_encoder(f"embeddings:{tmp_path}/f.npy")


@pytest.mark.parametrize("shape", ["(1000000000000000, 3)", "(9999999999999999999999, 3)", "(-1, 3)"])
def test_embeddings__an_array_that_says_more_than_it_holds_is_one_sentence(tmp_path, shape):
    np.save(tmp_path / "f.npy", np.ones((1, 3)))
    whole = (tmp_path / "f.npy").read_bytes()
    head = whole[10:128].rstrip().replace(b"(1, 3)", shape.encode()).ljust(117) + b"\n"
    (tmp_path / "f.npy").write_bytes(whole[:10] + head + whole[128:])
    (tmp_path / "f.csv").write_text("photo_id\na\n")
    with pytest.raises(EncoderError, match="cannot be read"):
        load_encoder(f"embeddings:{tmp_path}/f.npy")


def test_embeddings__missing_photos_and_options_that_cannot_apply(work, table, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(work)
    gone = table["photo_id"].to_pylist()[-1]
    pq.write_table(table.filter(pa.compute.not_equal(table["photo_id"], gone)), work / "less.parquet")
    given = ["-d", "built:files", *TASKS, "--cache", "less", "--workers", "0", "-q", "-o", "less"]
    assert score(["-m", "embeddings:less.parquet", *given]) == 1
    [failure] = read_result(work / "less" / "result.json").failures
    assert "built:files" in failure.reason
    assert f"{gone}" in failure.reason
    assert score(["-m", "embeddings:gone.parquet", *given]) == 2
    for option in (["--device", "cpu"], ["--dtype", "bfloat16"], ["--runtime", "openvino"]):
        assert score(["-m", "embeddings:embedded.parquet", *given, *option]) == 2
    for spec, output in (
        ("embeddings:", "needs a file"),
        ("embeddings:x?grup=SSL", "'group'"),
        ("embeddings:x?group=abc", "unknown group"),
        ("embeddings:x?group", "options are written"),
    ):
        with pytest.raises(UsageError, match=output):
            load_encoder(spec)


def test_embeddings__a_photo_that_could_not_be_embedded_is_one_failure(
    work, table, photo_folder, monkeypatch, tmp_path
):
    shutil.copytree(photo_folder, tmp_path / "photos")
    (tmp_path / "photos" / "train" / "cat" / "broken.jpg").write_bytes(b"no photo")
    photos = f"folder:{tmp_path}/photos"
    assert len(open_photos(photos)) == 37
    measured, _ = scored(work, monkeypatch, "embeddings:embedded.parquet", photos, "broken")
    assert [(f.kind, f.name) for f in measured.failures] == [("photo", "train/cat/broken.jpg")]
    assert len(measured.scores) > 5


def test_embeddings__errors_are_of_the_tree():
    assert issubclass(EncoderError, CamtraceError)
