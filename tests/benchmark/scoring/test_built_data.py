"""A built data set is scored as the photos that it was made from: same pixels, same assignments, same scores."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.encoders import load_encoder
from benchmark.results import read_result
from benchmark.tasks import all_tasks, fitting_tasks, select_tasks
from builders.__main__ import main as builders_main
from builders.data_specs import open_photos
from builders.errors import DataError, PhotoError, UsageError
from builders.pixels import BUILT_IN
from builders.publish.cli import plan_publication
from builders.sources import unpack
from builders.sources.bundles import pack
from builders.sources.processed_sets import join_sets, open_built
from tests.support.images import image_bytes
from tests.support.processes import run_python
from tests.support.scoring import score_tasks

pytestmark = pytest.mark.usefixtures("unpainted", "brief")

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("built")
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 5)):
        for label in ("dark", "light"):
            for i in range(count):
                path = root / "photos" / split / label / f"{i}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = rng.integers(0, 128, (40, 56, 3)) + (100 if label == "light" else 0)
                Image.fromarray(pixels.astype(np.uint8)).save(path, quality=90)
    source = str(root / "photos")
    for assignment in ("every", "uniform"):
        command = ["folder", "--source", source, "--parameter", "interpolation", "--assignment", assignment]
        assert builders_main([*command, "--output", str(root / assignment)]) == 0
    return root


def scores(data: str, cache, patterns=()) -> dict[tuple[str, str], float]:
    photos = open_photos(data)
    result = score_tasks(load_encoder("control:jpeg-statistics"), photos, patterns, cache, resamples=100).result
    return {(s.task, s.metric): s.value for s in result.scores}


@pytest.mark.slow
def test_built__gives_the_scores_of_the_photos(folders, tmp_path):
    from_photos = scores(f"folder:{folders / 'photos'}", tmp_path, ["*/interpolation"])
    from_built = scores(f"built:{folders / 'every'}", tmp_path)
    assert from_built == from_photos
    assert len(from_built) == 9  # one of the probe, eight of kNN


@pytest.fixture(scope="module")
def several(folders):
    """Three parameters in one folder; no photo of its own."""
    command = ["folder", "--source", str(folders / "photos"), "--parameter", "resizing,interpolation,sharpening"]
    assert builders_main([*command, "--assignment", "every", "--output", str(folders / "several")]) == 0
    return folders / "several"


@pytest.mark.slow
def test_built__every_parameter_of_the_folder_is_scored(folders, several, tmp_path):
    from_photos = scores(f"folder:{folders / 'photos'}", tmp_path, ["*/resizing", "*/interpolation", "*/sharpening"])
    from_built = scores(f"built:{several}", tmp_path)
    assert from_built == from_photos
    assert {task for task, _ in from_built} == {
        f"{kind}/{name}" for kind in ("probe", "knn") for name in ("resizing", "interpolation", "sharpening")
    }


def test_built__a_view_of_two_parameters_is_in_a_bundle_once(several):
    photos = open_photos(f"built:{several}")
    assert len(set(photos.stored_views)) == len(photos.stored_views) == 3 + 4 + 2  # jpeg-q95-444 is in two
    files = dict(zip(photos.stored_views, unpack(photos.read(30)), strict=True))
    for parameter in ("resizing", "sharpening"):
        alone = open_photos(f"built:{several}?parameter={parameter}")
        assert alone.ids == photos.ids
        for name, data in zip(alone.stored_views, unpack(alone.read(30)), strict=True):
            assert files[name] == data, name


def test_built__parameters_can_be_named(several, tmp_path):
    photos = open_photos(f"built:{several}?parameter=sharpening,resizing")
    tasks = fitting_tasks(select_tasks((), all_tasks()), photos, named=False)
    parameters = {name for task in tasks for name in [task.name.partition("/")[2]] if name in BUILT_IN}
    assert parameters == {"resizing", "sharpening"}
    with pytest.raises(UsageError, match="jepg"):
        open_photos(f"built:{several}?parameter=sharpening,jepg")


def test_join_sets__photos_that_one_parameter_lacks_are_left_out_and_counted(several):
    resizing, sharpening = (open_built(str(several), name) for name in ("resizing", "sharpening"))
    order = np.arange(len(sharpening.photos))[::-1][:-3]
    fewer = dataclasses.replace(sharpening, photos=sharpening.photos.select(order), rows=sharpening.rows[order])
    photos = join_sets("x", (resizing, fewer))
    missing = set(sharpening.photos.ids[:3])
    assert photos.ids == tuple(i for i in resizing.photos.ids if i not in missing)
    assert photos.evidence["left out"] == "3 photos that are not there under every parameter"
    row = photos.ids.index(sharpening.photos.ids[20])
    assert unpack(photos.read(row))[3:] == [sharpening.read(20, 1), sharpening.read(20, 2)]
    assert photos.splits[row] == sharpening.photos.splits[20]
    spoilt = dataclasses.replace(fewer.photos, splits=fewer.photos.splits[::-1].copy())
    with pytest.raises(DataError, match="sharpening"):
        join_sets("x", (resizing, dataclasses.replace(fewer, photos=spoilt)))


def test_built__one_class_a_photo_cannot_be_scored(folders):
    with pytest.raises(DataError, match="--assignment"):
        open_photos(f"built:{folders / 'uniform'}")


def test_built__other_parameters_do_not_fit(folders):
    photos = open_photos(f"built:{folders / 'every'}")
    with pytest.raises(DataError, match="classes"):
        fitting_tasks(select_tasks(["probe/jpeg"], all_tasks()), photos, named=True)


def test_unpack__refuses_what_is_no_bundle():
    for data in (b"", b"x", image_bytes(Image.new("RGB", (4, 4)), "PNG"), pack([b"abc", b"d"])[:-1]):
        with pytest.raises(PhotoError, match="bundle"):
            unpack(data)


@pytest.mark.slow
def test_hub__published_sets_are_scored_through_the_real_client(folders, tmp_path, hub):
    """``built:`` of a published repository and ``hub:`` of any image data set: the command against the double."""
    for name, folder in (("me/built", folders / "every"), ("me/photos", folders / "photos")):
        hub.create(name, private=False)
        files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
        hub.repo(name).commit({n: d for n, d in files.items() if not n.startswith(".")}, "first")
    environment = {**hub.environment(tmp_path), "CAMTRACE_CACHE": str(tmp_path / "banks")}
    given = ["--data", "built:me/built@main", "--data", "hub:me/photos@main", "--tasks", "*/interpolation"]
    words = ["-m", "benchmark", "--model", "control:jpeg-statistics", *given, "--workers", "0"]
    done = run_python(*words, "--output", tmp_path / "out", env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    results = {path.parent.name: read_result(path) for path in (tmp_path / "out").rglob("result.json")}
    assert set(results) == {"built-me--built", "hub-me--photos"}
    expected = scores(f"folder:{folders / 'photos'}", tmp_path, ["*/interpolation"])
    published = results["built-me--built"]
    assert {(s.task, s.metric): s.value for s in published.scores} == expected
    assert results["hub-me--photos"].data["photos"] == {"train": 24, "val": 10, "test": 0}
    revision = hub.repo("me/photos").branches["main"]
    assert results["hub-me--photos"].data["evidence"]["revision"] == revision


def test_built__a_flipped_byte_is_neither_scored_nor_published_and_a_rebuild_makes_it_again(folders, tmp_path, capsys):
    import shutil

    built = tmp_path / "every"
    shutil.copytree(folders / "every", built)
    file = next(built.glob("data/interpolation/train-*.parquet"))
    whole = file.read_bytes()
    spoilt = bytearray(whole)
    spoilt[len(spoilt) // 3] ^= 1
    file.write_bytes(spoilt)
    with pytest.raises(DataError, match=f"{file.name}"):
        open_photos(f"built:{built}")
    with pytest.raises(DataError, match=f"{file.name}"):
        plan_publication(built, "me/mine")
    command = ["folder", "--source", str(folders / "photos"), "--parameter", "interpolation", "--assignment", "every"]
    assert builders_main([*command, "--output", str(built)]) == 0
    assert f"{file.name}" in capsys.readouterr().err
    assert file.read_bytes() == whole
