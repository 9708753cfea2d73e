"""``camtrace erase`` end to end by the command: the folder, its scores, its lines of numpy, and every refusal."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest

from benchmark.cli.erase import main as erase
from benchmark.cli.score import main as score
from benchmark.cli.sweep import parser as sweep_parser
from benchmark.cli.sweep import run as run_sweep
from benchmark.erasing import FitSet, load_eraser, plan_fit, save_eraser
from benchmark.results import read_result
from builders.data_specs import open_photos
from builders.errors import DataError, EncoderError, UsageError
from builders.photos import Labels, PhotoSet
from tests.conftest import photo_bytes
from tests.support.records import check_keys

pytestmark = [pytest.mark.usefixtures("unpainted", "brief", "short_projection"), pytest.mark.slow]

MODEL = "some_statistics:encode"
"""A sixth of ``control:jpeg-statistics``: an eraser's work grows with the cube of the dimension."""

ENCODER = """
from benchmark.encoders.loaders.jpeg_statistics import jpeg_statistics

def encode(image):
    return jpeg_statistics(image)[::6]

encode.cache_key = "a sixth, 1"
"""


@pytest.fixture(scope="module", autouse=True)
def importable(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    (folder / "some_statistics.py").write_text(ENCODER)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of photos of different pictures, of which no two are near-duplicates."""
    root = tmp_path_factory.mktemp("unlike")
    for split, count in (("train", 24), ("val", 8)):
        for label, name in enumerate(("cat", "dog")):
            for i in range(count):
                path = root / split / name / f"{i:02d}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(photo_bytes(5000 + 1000 * label + 100 * (split == "val") + i, size=(72, 64)))
    return root


@pytest.fixture(scope="module")
def made(photos, tmp_path_factory):
    """The eraser's folder and the options of the run."""
    folder = tmp_path_factory.mktemp("erase")
    common = ["--data", f"folder:{photos}?name=folder:unlike", "--workers", "0", "--cache", str(folder / "cache"), "-q"]
    run = ["--model", MODEL, *common, "--trace", "jpeg", "--curve", "--output", str(folder / "eraser")]
    assert erase(run) == 0
    return folder / "eraser", common


def about(folder):
    return json.loads((folder / "eraser.json").read_text("utf-8"))


def test_folder__contains_the_fields_of_the_schema(made):
    folder, _ = made
    record = about(folder)
    check_keys("eraser.json", record, any_key=("environment.options",))
    eraser = load_eraser(folder)
    fit = eraser.fit
    assert record["sha256"] == eraser.sha256
    assert record["fit_photos_hash"] == fit.digest()
    assert (record["method"], record["attribute"], record["rank"], record["dtype"]) == ("leace", "jpeg", 5, "float32")
    assert record["labels_at_test_time"] is False
    assert len(fit.ids) == record["n_photos"] == 24  # half of the train photos
    assert record["n_rows"] == 24 * 6
    assert record["unseen"]["photos"] == 16
    readers = {row["reader"]: row for row in record["measured"] if row["kind"] == "trace"}
    assert list(readers) == ["linear", "knn", "mlp"]
    for row in record["measured"]:
        assert row["n"] == 16
        assert row["low"] <= row["difference"] <= row["high"]
        assert row["difference"] == pytest.approx(row["after"] - row["before"], abs=2e-6)
    assert readers["linear"]["before"] > 0.7
    assert readers["linear"]["after"] < readers["linear"]["before"]
    kinds = {(row["task"], row["metric"]) for row in record["measured"] if row["kind"] != "trace"}
    assert kinds >= {("knn/original", "accuracy"), ("linear/original", "accuracy"), ("knn/jpeg", "spd")}


def test_card__its_lines_apply_the_eraser_without_camtrace(made, monkeypatch):
    folder, _ = made
    (code,) = re.findall(r"```python\n(.+?)```", (folder / "README.md").read_text("utf-8"), re.DOTALL)
    assert len(code.strip().splitlines()) <= 10
    assert "camtrace" not in code
    monkeypatch.chdir(folder)
    scope = {}
    exec(code, scope)
    x = np.random.default_rng(0).normal(size=(7, about(folder)["dimension"]))
    np.testing.assert_allclose(scope["erase"](x), load_eraser(folder).apply(x), atol=1e-6)


def test_curve__starts_without_an_eraser_and_ends_with_all_photos(made):
    curve = about(made[0])["curve"]
    measured = {row["reader"]: row for row in about(made[0])["measured"] if row["kind"] == "trace"}
    assert [point["photos"] for point in curve] == [0, 24]
    for reader, row in measured.items():
        assert curve[0]["readers"][reader]["value"] == row["before"]
        assert curve[-1]["readers"][reader]["value"] == row["after"]


def test_folder__contains_results_before_and_after(made):
    folder, _ = made
    after = [read_result(p) for p in folder.glob("results/*+*/*/result.json")]
    (before,) = [read_result(p) for p in folder.glob("results/*/*/result.json") if "+" not in str(p)]
    assert [r.encoder["id"] for r in after] == [f"{MODEL}+{about(folder)['name']}"]
    assert after[0].encoder["details"]["encoder"] == before.encoder["id"] == MODEL
    assert after[0].encoder["details"]["eraser"]["method"] == "leace"
    assert after[0].data == before.data


def test_score__with_the_eraser(made, tmp_path):
    folder, common = made
    given = ["--model", MODEL, *common, "--tasks", "probe/jpeg"]
    assert score([*given, "--output", str(tmp_path / "plain")]) == 0
    assert score([*given, "--eraser", str(folder), "--output", str(tmp_path / "erased")]) == 0
    plain, erased = (read_result(tmp_path / name / "result.json") for name in ("plain", "erased"))
    assert erased.encoder["id"] == f"{MODEL}+{about(folder)['name']}"
    assert erased.score("probe/jpeg", "accuracy").value < plain.score("probe/jpeg", "accuracy").value
    assert "--eraser ERASER" in erased.environment["command"]
    assert about(folder)["sha256"] in erased.environment["local"]["eraser"]
    assert erased.cost["views"] == plain.cost["views"] == 0 or erased.cost["views"] == 0  # no photo is embedded again


def with_fit(folder, target, fit):
    """The same eraser with another set of photos of its fit."""
    shutil.copytree(folder, target)
    save_eraser(target, load_eraser(folder), fit, about={}, card="")
    return target


def test_refuse_leaks__a_test_photo_of_the_fit_by_id(made, tmp_path):
    folder, common = made
    fit = load_eraser(folder).fit
    seen = FitSet.id_hashes("folder:unlike", ["val/cat/03.jpg"])
    leaking = with_fit(
        folder, tmp_path / "leaking", FitSet(np.append(fit.ids, seen), np.append(fit.pictures, seen * 0))
    )
    assert score(["--model", MODEL, *common, "--eraser", str(leaking), "--output", str(tmp_path / "o")]) == 1
    assert not (tmp_path / "o" / "result.json").exists()
    with pytest.raises(DataError, match=r"val/cat/03\.jpg"):
        _refuse(leaking, common)


def _refuse(folder, common):
    from benchmark.erasing import Erasing, refuse_leaks

    refuse_leaks(Erasing.load(str(folder)), open_photos(common[1]))


def test_refuse_leaks__a_near_duplicate_of_a_photo_of_the_fit(made, photos, tmp_path):
    folder, common = made
    from builders.splits import photo_hash

    picture = photo_hash((photos / "val" / "dog" / "02.jpg").read_bytes()) ^ 0b100  # one bit differs
    fit = FitSet(np.array([1], np.uint64), np.array([picture], np.uint64))
    leaking = with_fit(folder, tmp_path / "near", fit)
    with pytest.raises(DataError, match=r"val/dog/02\.jpg"):
        _refuse(leaking, common)
    clean = with_fit(folder, tmp_path / "clean", FitSet(fit.ids, np.array([0], np.uint64)))
    _refuse(clean, common)


def test_eraser__other_encoders_and_commands_with_several_encoders_are_refused(made, tmp_path):
    folder, common = made
    given = ["--eraser", str(folder), *common, "--output", str(tmp_path / "o")]
    assert score(["--model", "control:random-projection", *given]) == 1
    from benchmark.encoders import load_encoder
    from benchmark.erasing import check_eraser

    with pytest.raises(EncoderError, match="dimensions, the eraser"):
        check_eraser(load_eraser(folder), load_encoder("control:random-projection"))
    with pytest.raises(UsageError, match="--eraser"):
        run_sweep(sweep_parser().parse_args(["--model", MODEL, *given]))
    for wrong, message in (
        (["--trace", "colour"], "colour"),
        ([], "trace"),
        (["--trace", "jpeg", "--method", "magic"], "magic"),
        (["--trace", "make"], "make"),
        (["--trace", "jpeg", "--tasks", "probe/jpeg"], "--tasks"),
        (["--trace", "jpeg", "--fit-share", "0.8", "--shared-train"], "--fit-share"),
    ):
        with pytest.raises((UsageError, DataError), match=message):
            erase(["--model", MODEL, *common, "--output", str(tmp_path / "p"), *wrong])


def test_labels_at_test_time__are_shown_wherever_the_eraser_is_named(made, tmp_path, capsys):
    _, common = made
    out = tmp_path / "s"
    run = ["--model", MODEL, *common, "--trace", "jpeg", "--method", "standardise", "--readers", "knn"]
    assert erase([*run, "--output", str(out)]) == 0
    assert about(out)["labels_at_test_time"] is True
    assert "(given test labels)" in about(out)["name"]
    assert all("label" in text for text in ((out / "README.md").read_text("utf-8"), capsys.readouterr().out))
    (after,) = [read_result(p) for p in out.glob("results/*+*/*/result.json")]
    assert after.encoder["id"].endswith("(given test labels)")


def plain_photos(train=20, val=12, **more) -> PhotoSet:
    names = [f"{split}/{i}" for split, count in (("train", train), ("val", val)) for i in range(count)]
    data = {name: photo_bytes(70_000 + i, size=(64, 64)) for i, name in enumerate(names)}
    splits = ["train"] * train + ["val"] * val
    photos = PhotoSet.of_bytes("plain", data, splits=splits)
    return dataclasses.replace(photos, **more)


def test_plan_fit__fit_and_measurement_share_no_photo():
    photos = plain_photos()
    plan = plan_fit(photos, "jpeg", seed=0, drop_leaks=False)
    fit, measured = set(plan.fitted.ids), set(plan.photos.ids)
    assert not fit & measured
    assert fit | measured == set(photos.ids)
    assert len(fit) == 10
    assert len(plan.held_out) == 2
    assert plan.photos.indices("val").size == 12
    assert [photos.ids[i] for i in plan.rows] == list(plan.fitted.ids)
    more = plan_fit(photos, "jpeg", seed=0, drop_leaks=False, share=0.8)
    assert (len(more.fit), len(more.photos.indices("train"))) == (16, 4)
    assert fit < set(more.fitted.ids)
    shared = plan_fit(photos, "jpeg", seed=0, drop_leaks=False, apart=False)
    assert shared.photos is photos
    assert len(shared.fit) == 20


def test_plan_fit__an_owner_in_two_splits_is_refused_and_owners_are_not_divided():
    owners = np.array([f"o{i % 16}" for i in range(32)])
    with pytest.raises(DataError, match="owners"):
        plan_fit(plain_photos(columns={"owner": owners}), "jpeg", seed=0, drop_leaks=False)
    owners = np.array([f"o{i // 2}" for i in range(32)])
    plan = plan_fit(plain_photos(columns={"owner": owners}), "jpeg", seed=0, drop_leaks=False)
    unknown = np.where(np.arange(32) % 2, owners, "")
    plan_fit(plain_photos(columns={"owner": unknown}), "jpeg", seed=0, drop_leaks=False)
    train = plan.photos.indices("train")
    assert not set(plan.fitted.columns["owner"]) & set(plan.photos.columns["owner"][train])


def test_plan_fit__a_near_duplicate_across_splits_is_refused_or_left_out():
    photos = plain_photos()
    source = dataclasses.replace(photos.source)
    rows = photos.rows.copy()
    rows[25] = rows[3]  # a test photo is a copy of a train photo
    copied = dataclasses.replace(photos, rows=rows, source=source)
    with pytest.raises(DataError, match=r"train/3.*--drop-leaks"):
        plan_fit(copied, "jpeg", seed=0, drop_leaks=False)
    plan = plan_fit(copied, "jpeg", seed=0, drop_leaks=True, apart=False)
    assert len(plan.fit) == 19
    assert "train/3" not in {plan.fitted.ids[i] for i in plan.fit}


def test_plan_fit__fit_and_measurement_share_no_camera_if_cameras_are_known():
    model = Labels(tuple("abcd"), np.arange(32, dtype=np.int32) % 4)
    photos = plain_photos(attributes={"model": model})
    plan = plan_fit(photos, "jpeg", seed=0, drop_leaks=False)
    parts = {"fit": plan.fitted, "measured": plan.photos.select(plan.photos.indices("val"))}
    cameras = {name: set(part.attributes["model"].values.tolist()) for name, part in parts.items()}
    assert len(cameras["fit"]) == len(cameras["measured"]) == 2
    assert not cameras["fit"] & cameras["measured"]
    assert len(plan_fit(photos, "model", seed=0, drop_leaks=False).photos) == 22  # the trace is the camera
