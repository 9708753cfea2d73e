"""A built data set is scored as the photos that it was made from: same pixels, same assignments, same scores."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.encoders import load_encoder
from benchmark.options import RunOptions
from benchmark.results.schema import read_result
from benchmark.scoring.run import score_encoders
from benchmark.tasks.registry import all_tasks, fitting_tasks, select_tasks
from builders.__main__ import main as builders_main
from builders.errors import DataError, PhotoError
from builders.kinds import open_photos
from builders.publishing.command import plan_publication
from builders.sources.stored_views import pack, unpack

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
    encoder = load_encoder("control:jpeg-statistics")
    tasks = fitting_tasks(select_tasks(patterns, all_tasks()), photos, asked=bool(patterns))
    options = RunOptions(cache=cache, workers=0, resamples=100)
    result = score_encoders([encoder], photos, tasks, options)[0].result
    assert not result.failures
    return {(s.task, s.metric): s.value for s in result.scores}


def test_built__gives_the_scores_of_the_photos(folders, tmp_path):
    from_photos = scores(f"folder:{folders / 'photos'}", tmp_path, ["*/interpolation"])
    from_built = scores(f"built:{folders / 'every'}", tmp_path)
    assert from_built == from_photos
    assert len(from_built) == 8


def test_built__one_class_a_photo_cannot_be_scored(folders):
    with pytest.raises(DataError, match="build with --assignment every"):
        open_photos(f"built:{folders / 'uniform'}")


def test_built__other_parameters_do_not_fit(folders):
    photos = open_photos(f"built:{folders / 'every'}")
    with pytest.raises(DataError, match="not in the classes of jpeg"):
        fitting_tasks(select_tasks(["probe/jpeg"], all_tasks()), photos, asked=True)


def test_unpack__refuses_what_is_no_bundle():
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG")
    for data in (b"", b"x", buffer.getvalue(), pack([b"abc", b"d"])[:-1]):
        with pytest.raises(PhotoError, match="bundle"):
            unpack(data)


def test_hub__published_sets_are_scored_through_the_real_client(folders, tmp_path, hub):
    """``built:`` of a published repository and ``hub:`` of any image data set: the command against the double."""
    for name, folder in (("me/built", folders / "every"), ("me/photos", folders / "photos")):
        hub.create(name, private=False)
        files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
        hub.repo(name).commit({n: d for n, d in files.items() if not n.startswith(".")}, "first")
    environment = {**hub.environment(tmp_path), "CAMTRACE_CACHE": str(tmp_path / "banks")}
    given = ["--data", "built:me/built@main", "--data", "hub:me/photos@main", "--tasks", "*/interpolation"]
    command = [sys.executable, "-m", "benchmark", "--model", "control:jpeg-statistics", *given, "--workers", "0"]
    done = subprocess.run(
        [*command, "--output", str(tmp_path / "out")], env=environment, cwd=ROOT, capture_output=True, text=True
    )
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
    with pytest.raises(DataError, match=rf"{file.name}: not as it was built"):
        open_photos(f"built:{built}")
    with pytest.raises(DataError, match=rf"{file.name}: missing or not as it was built"):
        plan_publication(built, "me/mine")
    command = ["folder", "--source", str(folders / "photos"), "--parameter", "interpolation", "--assignment", "every"]
    assert builders_main([*command, "--output", str(built)]) == 0
    assert f"{file.name}: does not match its checksum; made again" in capsys.readouterr().err
    assert file.read_bytes() == whole
