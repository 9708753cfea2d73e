"""``diff``: identical ways, planted differences in their order, files of embeddings, units, and the command."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from benchmark.__main__ import camtrace
from benchmark.extras.diff import Measured, diff
from benchmark.extras.diff.result import HEADER, diff_table
from builders.errors import DataError, EncoderError, UsageError
from builders.pixels import PROCESSINGS, decode_rgb, process_all
from tests.support.images import image_bytes


def numbers(row):
    """Every number of a row that says how much differs."""
    for name, value in vars(row).items():
        if isinstance(value, Measured):
            yield from (v for v in dataclasses.astuple(value) if v is not None)
        elif name in ("pixels_largest", "only_first", "only_second"):
            yield value


@pytest.mark.slow
def test_diff__identical_ways_are_exactly_0_in_every_number(thumbnail, oblong_photos):
    result = diff(thumbnail, oblong_photos, b=["", "library=pillow"], progress=False)
    for row in result.rows[:2]:
        assert row.identical
        assert set(numbers(row)) == {0.0}
        assert len(list(numbers(row))) == 3 + 6 * 5
        assert (row.mcnemar_p, row.over_limit, row.beyond_noise) == (1.0, "no", "no")
        assert row.accuracy_first == row.accuracy_second
        assert row.text.endswith("bit for bit.")
    assert result.rows[2].kind == "noise"
    assert set(numbers(result.rows[2])) == {0.0}
    assert result.passed(fail_undecided=True)
    assert result.moved_most == ()


@pytest.mark.slow
def test_diff__the_planted_swap_of_channels_is_first_and_squash_is_above_antialias(thumbnail, oblong_photos):
    result = diff(
        thumbnail, oblong_photos, b=["resize=squash,antialias=no,decoder=torchvision,colour=bgr"], progress=False
    )
    by_name = {row.name: row.cosine.value for row in result.rows if row.kind in ("path", "step")}
    steps = [row.name for row in result.rows if row.kind == "step"]
    assert steps[0] == "colour=bgr"
    assert steps.index("resize=squash") < steps.index("antialias=no") < steps.index("decoder=torchvision")
    assert by_name["resize=squash"] > 5 * by_name["antialias=no"]
    assert result.rows[0].over_limit == "yes"
    assert not result.passed()


def test_diff__numbers_are_those_of_a_plain_computation(thumbnail, oblong_photos):
    result = diff(thumbnail, oblong_photos, b="colour=bgr", neighbours=3, progress=False)
    first, second, weakest = [], [], []
    for i in range(len(oblong_photos)):
        photo = decode_rgb(oblong_photos.read(i))
        swapped = Image.fromarray(np.asarray(photo)[..., ::-1].copy())
        [processed] = process_all(photo, (PROCESSINGS[result.trace],), oblong_photos.ids[i])
        for rows, image in ((first, photo), (second, swapped), (weakest, processed)):
            rows.append(thumbnail.preprocess(image).astype(np.float64).ravel())
    first, second, weakest = (np.array(rows) for rows in (first, second, weakest))
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (first, second, weakest)]
    moved = [1 - (unit[0] * other).sum(axis=1) for other in unit[1:]]
    row = result.rows[0]
    assert row.pixels_largest == np.abs(first - second).max()
    assert row.pixels.value == pytest.approx(np.abs(first - second).mean())
    assert row.cosine.value == pytest.approx(moved[0].mean(), rel=1e-6)
    assert row.cosine.traces == pytest.approx(moved[0].mean() / moved[1].mean(), rel=1e-4)
    assert result.distances[result.trace] == min(result.distances.values()) > 0
    assert row.cosine.traces_low < row.cosine.traces < row.cosine.traces_high
    assert row.cosine.low < row.cosine.value < row.cosine.high
    order = np.argsort(-moved[0], kind="stable")
    assert [name for name, _ in result.moved_most[:5]] == [oblong_photos.ids[i] for i in order[:5]]
    assert result.neighbours == 3


@pytest.mark.slow
def test_diff_table__the_weakest_traces_own_row_has_no_units_of_itself(thumbnail, oblong_photos):
    result = diff(thumbnail, oblong_photos, b="resize=squash", progress=False)
    way, *_, trace = diff_table(result)
    share = f"{100 * result.rows[0].neighbours.value:.1f} ({result.rows[0].neighbours.traces:.2g} traces)"
    assert way[HEADER.index("neighbours changed, %")] == share
    assert trace[HEADER.index("neighbours changed, %")] == f"{100 * result.rows[-1].neighbours.value:.1f}"
    assert result.rows[-1].neighbours.traces == 1.0
    assert " traces)" not in " ".join(trace)


@pytest.mark.slow
def test_diff__a_function_of_a_picture_is_a_way(thumbnail, oblong_photos):
    result = diff(thumbnail, oblong_photos, b=[lambda image: thumbnail.preprocess(image)], progress=False)
    assert result.rows[0].name == "transform=<lambda>"
    assert result.rows[0].identical

    def fails(image):
        raise ValueError("of the user")

    with pytest.raises(EncoderError, match="the transform fails"):
        diff(thumbnail, oblong_photos, b=fails, progress=False)


@pytest.mark.slow
def test_diff__photos_that_one_way_does_not_read_are_left_out_of_all(thumbnail, oblong_photos):
    files = {name: oblong_photos.read(i) for i, name in enumerate(oblong_photos.ids)}
    files["other.png"] = image_bytes(Image.new("RGB", (50, 40), (9, 99, 200)))
    photos = type(oblong_photos).of_bytes("mixed", files)
    result = diff(thumbnail, photos, b="decoder=simplejpeg", progress=False)
    assert result.n == len(oblong_photos)
    assert list(result.left_out) == ["other.png"]
    assert "simplejpeg" in result.left_out["other.png"]
    assert result.rows[0].answers is None  # no labels
    with pytest.raises(DataError, match="0 photos"):
        diff(thumbnail, photos.select([len(files) - 1] * 1), b="decoder=simplejpeg", progress=False)


@pytest.mark.slow
def test_diff__photos_of_one_owner_are_one_unit_and_no_neighbours(thumbnail, oblong_photos):
    owners = np.array([f"o{i // 4}" for i in range(len(oblong_photos))])
    photos = dataclasses.replace(oblong_photos, columns={"owner": owners})
    alone = diff(thumbnail, oblong_photos, b="colour=bgr", progress=False)
    together = diff(thumbnail, photos, b="colour=bgr", progress=False)
    assert (alone.units, together.units) == (40, 10)
    assert alone.rows[0].cosine.value == together.rows[0].cosine.value
    assert alone.rows[0].cosine.low != together.rows[0].cosine.low


def embeddings_file(path, ids, rows):
    pq.write_table(pa.table({"photo_id": list(ids), "embedding": rows.astype(np.float32).tolist()}), path)
    return f"model=embeddings:{path}"


def test_diff__two_files_of_embeddings(tmp_path, oblong_photos):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(len(oblong_photos), 8))
    old = embeddings_file(tmp_path / "old.parquet", oblong_photos.ids, rows)
    new = embeddings_file(tmp_path / "new.parquet", oblong_photos.ids[:-1], rows[:-1] + 0.1)
    longer = embeddings_file(tmp_path / "longer.parquet", oblong_photos.ids, np.c_[rows, rows])
    result = diff(data=oblong_photos, a=old, b=[new, longer, ""], progress=False)
    by_name = {row.path["model"].rpartition("/")[2]: row for row in result.rows}
    assert result.n == len(oblong_photos) - 1
    assert "no embedding" in result.left_out[oblong_photos.ids[-1]]
    assert by_name["new.parquet"].cosine.value > 0
    assert by_name["new.parquet"].cosine.traces is None
    assert by_name["new.parquet"].over_limit == "undecided"
    assert by_name["old.parquet"].identical
    assert by_name["longer.parquet"].cosine is None  # other dimensions have no angle
    assert by_name["longer.parquet"].neighbours.value == 0.0
    assert {row.kind for row in result.rows} == {"path"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 2}, "limit 2"),
        ({"neighbours": 0}, "neighbours 0"),
        ({"at_most": 0}, "at most 0"),
        ({"b": []}, "give b"),
    ],
)
def test_diff__what_is_wrong_is_one_sentence(thumbnail, oblong_photos, options, message):
    with pytest.raises(UsageError, match=message):
        diff(thumbnail, oblong_photos, **{"b": "decoder=opencv", **options})


@pytest.fixture(scope="module")
def folder(oblong_photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for i, name in enumerate(oblong_photos.ids[:16]):
        label = oblong_photos.labels.names[oblong_photos.labels.values[i]]
        (folder / label).mkdir(exist_ok=True)
        (folder / label / f"<{name}").write_bytes(oblong_photos.read(i))
    return folder


@pytest.mark.slow
def test_command__of_the_default_encoder_writes_json_page_and_figure(folder, tmp_path, capsys):
    words = ["diff", "--data", f"folder:{folder}", "--b", "", "--b", "colour=bgr", "-o", str(tmp_path / "out")]
    assert camtrace([*words, "--json", "--quiet"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [row["kind"] for row in record["rows"]] == ["path", "path", "noise", "trace"]
    swap, same = record["rows"][:2]
    assert (swap["name"], swap["over_limit"], same["identical"]) == ("colour=bgr", "yes", True)
    assert record["encoder"] == "bundled:efficientnet-lite0"
    assert json.loads((tmp_path / "out" / "diff.json").read_text()) == record
    page = (tmp_path / "out" / "diff.html").read_text()
    assert swap["text"] in page
    assert "&lt;" in page
    assert not re.search(r"<\d\d\.jpg|(?:src|href)=\"(?!data:image/png;base64,)", page)
    with Image.open(tmp_path / "out" / "diff.png") as figure:
        assert figure.size[0] > 1000
    assert swap["text"] in (tmp_path / "out" / "diff.md").read_text()


def test_command__one_sentence(capsys):
    assert camtrace(["diff", "--b", "decoder=opncv"]) == 2
    assert "'opencv'" in capsys.readouterr().err


@pytest.mark.slow
def test_command__exit_code(folder, tmp_path, monkeypatch, capsys):
    (tmp_path / "own_mean.py").write_text(
        "import numpy as np\ndef encode(image):\n    return np.asarray(image.resize((8, 8)), dtype=float).ravel()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    words = ["diff", "-m", "own_mean:encode", "--data", f"folder:{folder}", "--b", "colour=bgr", "--limit", "12"]
    assert camtrace([*words, "--exit-code", "--at-most", "1000000000"]) == 0
    assert camtrace([*words, "--exit-code", "--at-most", "1"]) == 1
    assert "colour=bgr" in capsys.readouterr().out


@pytest.mark.slow
def test_command__an_encoder_that_ends_the_process_is_one_sentence(folder, tmp_path):
    """Of a real process: ``exit`` of C without a word was status 0."""
    (tmp_path / "ending.py").write_text("import ctypes\ndef encode(image):\n    ctypes.CDLL(None).exit(0)\n")
    words = ["diff", "-m", "ending:encode", "--data", f"folder:{folder}", "--b", "colour=bgr", "--limit", "4", "-q"]
    path = os.pathsep.join([str(Path(__file__).parents[3]), str(tmp_path)])
    done = subprocess.run(
        [sys.executable, "-m", "benchmark", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert "ending:encode" in done.stderr.splitlines()[-1]
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.slow
def test_diff__units_are_those_of_the_photos_that_are_left(thumbnail, oblong_photos):
    """A photo that cannot be read, before all others and of an owner of its own, changes no number of theirs."""
    files = {name: oblong_photos.read(i) for i, name in enumerate(oblong_photos.ids)}
    owners, classes = [f"o{i // 4}" for i in range(len(files))], list("cwwc") * 10
    made = []
    for broken in ({}, {"broken": b"no photo"}):
        photos = type(oblong_photos).of_bytes("mixed", {**broken, **files}, [*"x" * len(broken), *classes])
        columns = {"owner": np.array([*["alone"] * len(broken), *owners])}
        made.append(diff(thumbnail, dataclasses.replace(photos, columns=columns), b="colour=bgr", progress=False))
    whole, left = made
    assert (whole.units, left.units, whole.n, left.n) == (10, 10, 40, 40)
    assert (list(whole.left_out), list(left.left_out)) == ([], ["broken"])
    assert left.rows == whole.rows
    assert (left.moved_most, left.distances) == (whole.moved_most, whole.distances)
