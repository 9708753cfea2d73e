"""The real command line end to end, in a temporary folder, with a small encoder of the user's own."""

import contextlib
import io
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.__main__ import camtrace
from benchmark.options import RunOptions
from benchmark.results.schema import read_result
from benchmark.scoring.command import main, parser
from builders.errors import DiskError, UsageError
from builders.kinds import open_photos
from tests.conftest import photo_bytes
from tests.warm_python import run_python

ROOT = Path(__file__).parents[3]

ENCODER = """
import numpy as np

def encode(image):
    # mean colour of a 4 x 4 grid, and how much neighbouring pixels differ: content and sharpness
    pixels = np.asarray(image.resize((64, 64)), dtype=np.float32)
    grid = pixels.reshape(4, 16, 4, 16, 3).mean((1, 3)).ravel()
    full = np.asarray(image.convert("L"), dtype=np.float32)
    detail = [np.abs(np.diff(full, axis=0)).mean(), np.abs(np.diff(full, axis=1)).mean(), np.log(full.size)]
    return np.concatenate([grid / 64, np.array(detail)])

encode.cache_key = "grid and detail, 1"

def broken(image):
    raise RuntimeError("this encoder is broken")
"""


OWN_FILES = {
    "benchmark.py": "raise RuntimeError('your own benchmark.py was run')",
    "benchmark/__init__.py": "raise RuntimeError('your own benchmark was imported')",
    "builders/__init__.py": "raise RuntimeError('your own builders was imported')",
    "cards/__init__.py": "raise RuntimeError('your own cards was imported')",
    "camtrace.py": "raise RuntimeError('your own camtrace.py was run')",
}
"""What may lie about in the folder where somebody works, under names that are ours."""


def test_score__the_engine_is_compiled_beside_the_imports(tmp_path, monkeypatch):
    """Begun before an encoder is even looked for, here one that is not there; not by a dry run."""
    begun = []
    monkeypatch.setattr("builders.pixels.engine.selection.ENGINE_KERNELS.begin", lambda: begun.append("engine"))
    for more, expected in (["--dry-run"], []), ([], ["engine"]):
        named = ["-m", "bundled:nobody", "-d", "sample", "-o", str(tmp_path / "o"), "--cache", str(tmp_path)]
        with contextlib.suppress(UsageError):
            main([*named, *more])
        assert begun == expected


def environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "CAMTRACE_CACHE": str(folder / "cache"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }


def script(folder: Path) -> list[str]:
    """The command as an installation writes it, from the entry point that pyproject.toml names."""
    [line] = re.findall(r'^camtrace = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    module, _, function = line.partition(":")
    path = folder / "bin" / "camtrace"
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        f"import sys\nfrom {module} import {function}\nif __name__ == '__main__':\n    sys.exit({function}())\n"
    )
    return [sys.executable, str(path)]


def run(folder: Path, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    """Run ``camtrace ARGUMENTS`` in a folder; no mistake may show a traceback."""
    done = run_python(*script(folder)[1:], *arguments, cwd=folder, env=environment(folder), timeout=240)
    assert done.returncode == expect, done.stderr
    assert "Traceback" not in done.stderr
    return done


def picture(label: int, seed: int) -> bytes:
    """A noisy photo whose colour is its class, saved at a random quality."""
    rng = np.random.default_rng(seed)
    colour = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200]])[label]
    pixels = np.clip(colour + rng.normal(0, 40, (48 + seed % 7, 64, 3)), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=int(rng.integers(60, 99)))
    return buffer.getvalue()


def bomb() -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


BAD = {
    "train/red/truncated.jpg": picture(0, 1)[:700],
    "train/red/empty.jpg": b"",
    "val/blue/bomb.png": bomb(),
    "val/green/notes.txt": b"not a photo",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "mine.py").write_text(ENCODER)
    for name, text in OWN_FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    seed = 0
    for split, count in (("train", 24), ("val", 9)):
        for label, name in enumerate(("red", "green", "blue")):
            for i in range(count):
                path = folder / "photos" / split / name / f"{i:02d}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(picture(label, seed := seed + 1))
    for name, data in BAD.items():
        (folder / "photos" / name).write_bytes(data)
    for i in range(2):
        path = folder / "bad" / "class" / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"nothing")
    return folder


@pytest.fixture(scope="module")
def scored(project) -> subprocess.CompletedProcess[str]:
    return run(project, "score", "-m", "mine:encode", "-d", "folder:photos", "-o", "out", "--workers", "2")


def test_score__writes_a_complete_result(project, scored):
    result = read_result(project / "out" / "result.json")
    assert result.encoder["id"] == "mine:encode"
    assert result.encoder["dimension"] == 51
    assert result.data["name"] == "folder:photos"
    assert result.data["photos"] == {"train": 74, "val": 29, "test": 0}
    photos = open_photos(f"folder:{project / 'photos'}")
    assert (result.schema_version, result.data["question_hash"]) == (2, photos.question_hash())
    assert sum(result.data["source_jpeg"].values()) == 103
    by = {(s.task, s.metric): s for s in result.scores}
    parameters = ("jpeg", "sharpening", "resizing", "interpolation")
    for parameter in parameters:
        probe = by[f"probe/{parameter}", "accuracy"]
        assert probe.n == 27
        assert probe.low <= probe.value <= probe.high
        assert len(probe.details["accuracy_by_seed"]) == 10
        for metric in ("all-same", "all-diff", "pos-same", "neg-same", "uniform", "uniform-test", "worst", "spd"):
            score = by[f"knn/{parameter}", metric]
            assert score.low <= score.value <= score.high
        spd = by[f"knn/{parameter}", "pos-same"].value - by[f"knn/{parameter}", "neg-same"].value
        assert by[f"knn/{parameter}", "spd"].value == pytest.approx(spd)
    assert len([s for s in result.scores if s.task.partition("/")[2] in parameters]) == 4 + 4 * 8
    assert by["probe/jpeg", "accuracy"].chance == pytest.approx(1 / 6)
    assert by["knn/jpeg", "all-same"].chance == pytest.approx(1 / 3)
    # noise makes sharpening and size plain to see in local detail; colour makes the classes plain to see
    assert by["probe/sharpening", "accuracy"].low > 0.8
    assert by["probe/resizing", "accuracy"].low > 0.8
    assert by["knn/interpolation", "all-same"].value == 1.0


def test_load_callable__your_folder_stands_behind_our_packages_in_workers_that_start_anew(project):
    (project / "spawning.py").write_text(
        "import multiprocessing, os, sys\n"
        "def ours(_):\n"
        "    import benchmark, builders, camtrace, cards\n"
        "    return [m.__file__ for m in (benchmark, builders, camtrace, cards)]\n"
        "if __name__ == '__main__':\n"
        "    sys.path = [path for path in sys.path if path not in ('', os.getcwd())]  # as the command has it\n"
        "    from benchmark.encoders import load_encoder\n"
        "    load_encoder('mine:encode')\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(*pool.map(ours, [0])[0], sep='\\n')\n"
    )
    done = subprocess.run(
        [sys.executable, "spawning.py"], cwd=project, env=environment(project), capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert all(Path(file).is_relative_to(ROOT) for file in done.stdout.split())


def test_score__bad_files_are_named_and_the_run_completes(project, scored):
    result = read_result(project / "out" / "result.json")
    failed = {f.name: f.reason for f in result.failures}
    assert set(failed) == set(BAD)
    assert "empty" in failed["train/red/empty.jpg"]
    assert "pixels" in failed["val/blue/bomb.png"]
    assert "warning: mine:encode on folder:photos: 4 photos failed" in scored.stderr


def test_score__tells_people(project, scored):
    text = (project / "out" / "report.md").read_text()
    assert text.strip() in scored.stdout
    assert "| probe/jpeg " in text
    assert "val/green/notes.txt" in text
    with Image.open(project / "out" / "report.png") as picture_:
        assert picture_.width > 800
    assert not list((project / "out").glob(".*"))


def test_score__keeps_per_photo_answers_that_give_the_scores(project, scored):
    result = read_result(project / "out" / "result.json")
    with np.load(project / "out" / "answers.npz", allow_pickle=False) as answers:
        predicted = answers["probe/jpeg/predicted"]
        correct, combinations = answers["knn/jpeg/correct"], answers["knn/jpeg/combinations"]
    assert predicted.shape == (10, 6, 27)
    accuracy = (predicted == np.arange(6)[None, :, None]).mean()
    assert result.score("probe/jpeg", "accuracy").value == pytest.approx(accuracy)
    assert result.score("knn/jpeg", "all-diff").value == pytest.approx((correct[1] / combinations[1]).mean())


def test_score__second_run_reuses_the_bank_and_gives_the_same_scores(project, scored):
    before = read_result(project / "out" / "result.json")
    run(project, "score", "--model", "mine:encode", "--data", "folder:photos", "--output", "again")
    after = read_result(project / "again" / "result.json")
    assert after.cost["views"] == 0
    assert [(s.task, s.metric, s.value, s.low) for s in after.scores] == [
        (s.task, s.metric, s.value, s.low) for s in before.scores
    ]
    assert after.failures == before.failures


def test_score__several_encoders_and_sets_and_a_broken_one(project):
    done = run(
        project, "score", "--model", "mine:encode", "--model", "mine:broken", "--model", "control:jpeg-statistics",
        "--data", "folder:photos", "--data", "folder:photos/train?name=half", "--tasks", "probe/sharpening",
        "--limit", "40", "--output", "several", "--json", expect=1,
    )  # fmt: skip
    assert "this encoder is broken" in done.stderr
    results = sorted(path.relative_to(project / "several").as_posix() for path in (project / "several").rglob("*.json"))
    assert results == [
        f"{encoder}/{data}/result.json"
        for encoder in ("control-jpeg-statistics", "mine-encode")
        for data in ("folder-photos", "half")
    ]
    one = json.loads((project / "several" / results[0]).read_text())
    assert sum(one["data"]["photos"].values()) == 40
    assert [s["task"] for s in one["scores"]] == ["probe/sharpening"]
    text = (project / "several" / "report.md").read_text()
    assert "mine:broken" in text
    assert text.strip() in done.stderr
    told = json.loads(done.stdout)  # and nothing else
    assert [(row["encoder"], row["data"], row["task"], row["metric"]) for row in told["scores"]] == [
        (encoder, data, "probe/sharpening", "accuracy")
        for data in ("folder:photos", "half")
        for encoder in ("mine:encode", "control:jpeg-statistics")
    ]
    by = {(row["encoder"], row["data"]): row for row in told["scores"]}
    assert by["control:jpeg-statistics", "folder:photos"]["value"] == one["scores"][0]["value"]
    [lost] = [row for row in told["failures"] if row["kind"] == "not scored"]
    assert lost["name"] == "mine:broken"
    assert "this encoder is broken" in lost["reason"]
    # each result is repeated by itself, without the others of the run
    said = [json.loads((project / "several" / name).read_text())["environment"] for name in results]
    assert [environment["command"] for environment in said] == [
        f"camtrace score --model {model} --data {data} --tasks probe/sharpening --limit 40"
        for model in ("control:jpeg-statistics", "mine:encode")
        for data in ("folder:PATH", "'folder:PATH?name=half'")
    ]
    assert [sorted(environment["local"]) for environment in said] == [["data"]] * 2 + [["data", "model"]] * 2
    half = json.loads((project / "several" / results[3]).read_text())
    assert said[3]["local"]["data"] == f"PATH: your folder of 40 photos (half), ids hash {half['data']['ids_hash']}"
    assert str(project) not in json.dumps(said)


def test_score__records_a_command_without_a_path_of_this_machine(project, tmp_path):
    """Photos, output and cache are absolute paths; the seed of ``--limit`` decides which 20 photos are scored."""
    data = f"folder:{project}/photos?name=mine"
    done = run(
        project, "score", "--model", "mine:encode", "--data", data, "--tasks", "probe/sharpening",
        "--limit", "20", "--seed", "1", "--output", str(tmp_path / "out"), f"--cache={tmp_path}/cache", "--workers=0",
    )  # fmt: skip
    assert str(tmp_path / "out") in done.stderr
    result = read_result(tmp_path / "out" / "result.json")
    command = str(result.environment["command"])
    for part in ("mine:encode", "probe/sharpening", "limit", "20", "seed"):
        assert part in command
    secrets = {*project.parts[1:], *tmp_path.parts[1:], str(project), str(tmp_path), "//", "~"}
    assert [secret for secret in secrets if re.search(rf"(?<!\w){re.escape(secret)}(?!\w)", command)] == []
    assert not re.search(r"(^|[\s=:'\"])/", command), command
    assert not re.search("--(output|cache|workers)", command), command  # they change no score
    full = open_photos(data, seed=1)
    assert result.data["ids_hash"] == full.limited(20, 1).ids_hash() != full.limited(20, 0).ids_hash()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["score", "--model", "bundled:eficientnet-lite0"], "did you mean 'bundled:efficientnet-lite0'"),
        (["score", "--data", "smaple"], "did you mean 'sample'"),
        (["score", "--data", "cifar10"], "did you mean 'hub:cifar10'"),
        (["score", "--data", "photos?name=mine"], "did you mean 'folder:photos?name=mine'"),
        (["score", "--data", "flder:photos"], "did you mean 'folder:PATH'"),
        (["score", "--tasks", "probe/jpg"], "did you mean 'probe/jpeg'"),
        (["score", "--data", "folder:nowhere"], "nowhere: no such folder"),
        (["score", "--batch_size", "8"], "unknown option '--batch_size': did you mean '--batch-size'"),
        (["score", "--taks=probe/jpeg"], "unknown option '--taks': did you mean '--tasks'"),
        (["score", "--batch", "8"], "unknown option '--batch': did you mean '--batch-size'"),
        (["score", "--dtype", "float31"], "unknown value of --dtype 'float31': did you mean 'float32'"),
        (["score", "--limit", "many"], "argument --limit: 'many' is not a whole number"),
        (["score", "--mask-ratio", "1"], "mask ratio 1.0: give a share"),
        (["score", "photos"], "unexpected argument 'photos'"),
        (["--model", "mine:encode"], "options follow a command, such as 'camtrace score --model"),
        (["lst"], "did you mean 'list'"),
        (["list", "encoder"], "did you mean 'encoders'"),
        (["build", "foldr"], "did you mean 'folder'"),
        (["build", "folder", "--sorce", "photos"], "did you mean '--source'"),
        (["build", "flickrexif", "fetch", "--stat", "x"], "did you mean '--state'"),
        (["score", "--tasks", "probe/make", "--data", "folder:photos"], "cannot answer any of the tasks"),
        (
            ["score", "--data", "folder:photos", "--data", "folder:photos?name=folder:photos"],
            "two data sets are called",
        ),
    ],
)
def test_command__mistakes_are_one_sentence(project, monkeypatch, capfd, arguments, sentence):
    monkeypatch.chdir(project)
    assert camtrace(arguments) == 2
    said = capfd.readouterr()
    assert sentence in said.err
    assert len([line for line in said.err.splitlines() if line.startswith("camtrace:")]) == 1
    assert "Traceback" not in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["score", "--model", "mine:missing", "--data", "folder:photos"], "missing"),
        (["score", "--taks=probe/jpeg"], "unknown option '--taks': did you mean '--tasks'"),
    ],
)
def test_command__mistakes_end_a_process_as_they_end_the_command(project, arguments, sentence):
    done = run(project, *arguments, expect=2)
    assert sentence in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("camtrace:")]) == 1
    assert done.stdout == ""


def test_score__a_data_set_that_fails_is_status_1(project):
    done = run(project, "score", "--model", "mine:encode", "--data", "folder:bad", "-o", "of-bad", expect=1)
    [sentence] = [line for line in done.stderr.splitlines() if line.startswith("camtrace:")]
    assert "none of the 2 photos can be used" in sentence
    assert not (project / "of-bad").exists()


def test_score__config_file_and_the_command_line_wins(project):
    (project / "run.toml").write_text(
        'model = ["mine:missing"]\ndata = "folder:photos"\ntasks = ["knn/jpeg", "probe/jpeg"]\n'
        'limit = 9\nfresh = true\nprotocol = "iccv2025"\nmask-ratio = 0.5\n'
    )
    args = parser().parse_args(["--config", str(project / "run.toml"), "-m", "mine:encode", "--limit", "40"])
    assert (args.model, args.data, args.tasks) == (["mine:encode"], ["folder:photos"], ["knn/jpeg", "probe/jpeg"])
    assert (args.limit, args.fresh, args.protocol, args.mask_ratio, args.workers) == (
        *(40, True, "iccv2025", 0.5),
        RunOptions().workers,
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("batch_size = 8", "did you mean 'batch-size'"),
        ("limit = [1, 2]", "limit takes one value"),
        ("limit = true", "limit takes a value"),
        ("fresh = 1", "fresh is true or false"),
        ('dtype = "float31"', "did you mean 'float32'"),
        ("limit =", "not TOML"),
        (f"limit = {'9' * 5000}", "not TOML"),
        (f"{'a.' * 100_000}b = 1", "more than the 64 KiB that such a file may have"),
        ("[model]\nname = 1", "takes text, a number"),
        ('config = "other.toml"', "unknown option in"),
    ],
)
def test_config__mistakes_name_the_file(tmp_path, text, sentence):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=re.escape(sentence)) as caught:
        parser().parse_args(["--config", str(file)])
    assert "mine.toml" in str(caught.value)


def test_score__quiet_says_nothing_but_the_report(project, scored):
    done = run(
        project, "score", "-q", "-m", "mine:encode", "-d", "folder:photos/val", "-t", "knn/sharpening", "-o", "quiet"
    )
    assert [line for line in done.stderr.splitlines() if "warning" not in line] == []
    assert done.stdout.strip() == (project / "quiet" / "report.md").read_text().strip()
    assert scored.stderr.splitlines()[0] == "scoring mine:encode on folder:photos; results go to out"


def test_score__says_what_it_does_before_torch_is_imported(tmp_path):
    """The first line is there when the import of torch begins, which takes seconds."""
    (tmp_path / "torch.py").write_text("import sys; sys.exit(77)")
    own = environment(tmp_path) | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    command = [*script(tmp_path), "score", "--data", "simcams"]
    done = subprocess.run(command, cwd=tmp_path, env=own, capture_output=True, text=True, timeout=60)
    assert done.returncode == 77
    assert done.stderr.startswith("scoring bundled:efficientnet-lite0 on simcams; results go to results")


SLOW = """
import time
import numpy as np

def encode(image):
    time.sleep(0.2)
    return np.asarray(image.resize((4, 4)), dtype=np.float32).ravel()

encode.cache_key = "slow"
"""


@pytest.mark.parametrize(
    ("number", "status", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_score__stopped_in_one_sentence(project, number, status, word):
    (project / "slow.py").write_text(SLOW)
    command = [*script(project), "score", "-v", "-m", "slow:encode", "-d", "folder:photos", "-o", "never"]
    process = subprocess.Popen(
        command, cwd=project, env=environment(project), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in process.stderr:
        if line.startswith("folder:photos: 103 photos"):
            break
    time.sleep(0.7)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == status, err
    assert err.splitlines()[-1].startswith(f"camtrace: {word}; finished work is kept")
    assert "Traceback" not in err
    assert out == ""


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("encoders", ["bundled:efficientnet-lite0", "control:jpeg-statistics", "CLIP (ViT-B/16, WIT)"]),
        ("tasks", ["probe/jpeg", "knn/interpolation"]),
        ("parameters", ["q75-420", "lanczos"]),
        ("data", ["sample", "folder:PATH", "hub:REPO[@REVISION]"]),
    ],
)
def test_list(project, monkeypatch, capfd, what, names):
    if what == "encoders":  # it looks for every library of encoders
        printed = run(project, "list", what).stdout
    else:
        monkeypatch.chdir(project)
        assert camtrace(["list", what]) == 0
        printed = capfd.readouterr().out
    for name in names:
        assert name in printed


def test_score__names_that_are_no_text_reach_the_result_escaped(tmp_path, capfd, monkeypatch):
    """A name that is not UTF-8 lost a whole result at the end of the run, and an ESC in one commanded the terminal."""
    for split, count in (("train", 6), ("val", 3)):
        for label in ("cat", "d\x1b[31mog"):
            for i in range(count):
                path = tmp_path / "photos" / split / label / f"{i}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(photo_bytes(i))
    folder = os.fsencode(tmp_path / "photos" / "train" / "cat")
    with open(folder + b"/caf\xe9\x1b[2J.jpg", "wb") as broken:
        broken.write(b"no photo")
    words = ["-m", "control:random-projection", "-d", f"folder:{tmp_path}/photos", "-t", "knn/resizing"]
    assert main([*words, "--workers", "0", "--cache", str(tmp_path / "c"), "-o", str(tmp_path / "out")]) == 0
    said = capfd.readouterr()
    assert "\x1b" not in said.out + said.err
    result = read_result(tmp_path / "out" / "result.json")
    assert [failure.name for failure in result.failures] == ["train/cat/caf\\xe9\\x1b[2J.jpg"]
    assert "\x1b" not in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("option", ["--output", "--cache"])
def test_score__a_place_that_cannot_be_written_is_said_before_the_work(tmp_path, option):
    (tmp_path / "file").write_bytes(b"")
    places = {"--output": tmp_path / "out", "--cache": tmp_path / "c", option: tmp_path / "file" / "x"}
    with pytest.raises(DiskError, match=rf"^{option} .*cannot be written to \(Not a directory\); nothing was begun"):
        main(["-d", "folder:/nowhere", *(str(word) for pair in places.items() for word in pair)])
    assert sorted(os.listdir(tmp_path)) == ["file"]
