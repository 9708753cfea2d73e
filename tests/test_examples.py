"""The documentation as its readers use it: each command line and each block of Python runs once, or stands in NOT_RUN.

The steps of a page run in their order, in one folder and one process, with small photos and small settings.
``tests/test_docs.py`` parses every command line, also of those that are not run; ``tests/test_extend.py`` runs
``docs/how-to/extend.md``, and ``tests/test_notebook.py`` the notebooks.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.processes import run_python
from tests.test_docs import PAGES, ROOT, steps

NOT_RUN = {
    # what this machine has not
    r"(hub|hf|openfake|pathorob):|/data\b|imagenet|CNNDetection|GenImage": "data of others",
    r"META\.csv|meta\.csv|--data shots|--data D\b|answers:answers": "data of the reader",
    r"vlm:|timm/|llava|facebook/|openai/|OWNER/|--push|me/my-traces|logs/|org__|ModelA": "the Hub, or others' logs",
    r"build flickrexif": "Flickr: tests/builders/flickrexif talks to a double",
    r"/shared/(run|flickr)": "a cluster: tests/benchmark/cluster runs plans, work, status and finish",
    r"^import faiss": "faiss: tests/benchmark/erasing compares with it where it is installed",
    # what takes minutes
    r"^camtrace score$": "three data sets in minutes: first-run.md goes on with one of them, which runs",
    r"reproduce packages|networks/board": "networks of packages: tests/benchmark/scoring and .ci/run families",
    r"--layout fodb|fodb:out|--license cc-by-4.0|--pairs --scenes": "minutes: tests/builders builds small ones",
    # what another page or test runs
    r"^camtrace score --model 'weights:|checkpoint-1000\?": "test_trainers_page.py runs the lines of that page",
    r"runs/checkpoint-\*|layers\[": "tests/benchmark/encoders/test_layers.py, and the tutorial score-your-encoder",
    r"my_encoder:encoder": "a file of the reader: tests/benchmark/encoders runs such functions",
    r"library=pillow,filter|processing=jpeg-q85-420": "the same command as in diff.md",
    r"(OLD|NEW)_MODEL|--model encoder/|out.* --figure|leaderboard (out|results)": "the same command as in the README",
    r"scores\.parquet|--score ms|runtime=onnx|out/before": "the same command on its page or README",
    r"^from camtrace import TraceCallback": "parts of a script: tests/benchmark/api/test_training.py has whole ones",
}
"""Pattern of a command line, or of a block's first line -> why no page runs it. Every entry is needed."""

WORLD = """
import numpy as np, pandas, shutil
from pathlib import Path
from PIL import Image
rng = np.random.default_rng(0)
def save(path, shade, quality):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(0, 120, (40, 48, 3)) + 100 * shade
    Image.fromarray(pixels.astype(np.uint8)).save(path, quality=quality)
for shade, (name, other) in enumerate((("cat", "real"), ("dog", "fake"))):
    for split, count in (("train", 8), ("val", 4)):
        for number in range(count):
            save(Path("photos", split, name, f"{number}.jpg"), shade, 90)
    for number in range(44):
        save(Path("real_and_fake", other, f"{number}.jpg"), shade, (90, 90, 90, 60)[number % 4] if shade else 90)
shutil.copytree("photos", "my_photos")
shutil.copy("photos/train/cat/0.jpg", "photo.jpg")
Path("models.txt").write_text("control:random-projection\\ncontrol:jpeg-statistics  # no network\\n")
frame = pandas.DataFrame({"id": range(80), "question": range(80), "document": [i // 4 for i in range(80)]})
for name, every in (("old", 2), ("new", 3)):
    frame.assign(correct=[int(i % every == 0) for i in range(80)]).to_csv(f"{name}.csv", index=False)
paths = sorted(str(path.relative_to("photos")) for path in Path("photos").rglob("*.jpg"))
pandas.DataFrame({"path": paths}).to_csv("vectors.csv", index=False)
np.save("vectors.npy", rng.normal(size=(len(paths), 8)).astype(np.float32))
"""
"""What the pages name: photos, a real/fake set, a list of models, two tables, vectors."""

CHECKPOINT = """
import transformers as tf
sizes = dict(image_size=32, patch_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
tf.Dinov2Model(tf.Dinov2Config(**sizes)).save_pretrained("runs/checkpoint-1000")
crop = {"height": 32, "width": 32}
tf.BitImageProcessor(size={"shortest_edge": 40}, crop_size=crop).save_pretrained("runs/checkpoint-1000")
"""

ERASER = """
import numpy as np, camtrace
rng = np.random.default_rng(0)
labels = np.arange(60) % 2
embeddings, other, queries = (rng.normal(size=(60, 8)).astype(np.float32) for _ in range(3))
embeddings[:, 0] += 4 * labels
camtrace.fit_eraser(embeddings, labels).save("eraser")
"""

RESULTS = """
camtrace.score("control:random-projection", data="folder:photos", tasks="probe/jpeg", output="out/a")
for folder in ("out/b", "results/old", "results/new"):
    shutil.copytree("out/a", folder)
"""


@dataclass(frozen=True)
class Page:
    """What the steps of a page need before them, what holds after them, and the tasks of runs that name none."""

    before: str = ""
    after: str = ""
    tasks: str = "probe/jpeg"


RUN = {
    "README.md": Page(
        CHECKPOINT,
        "for file in ('results/new/result.json', 'results/new/answers.npz', 'results/new/report.html', "
        "'audit/audit.html', 'traces.pdf', 'probes.svg', 'sweep/report.md', 'site/index.html', "
        "'out/photos-jpeg/README.md'): assert Path(file).is_file(), file",
    ),
    "docs/how-to/answers.md": Page(
        "def api(image, prompt):\n    return f'{prompt and image.size}'\n",
        "rows = [json.loads(line) for line in open('answers.jsonl')]\n"
        "assert len(rows) == 6 * len(questions) > 0 and {row['answer'] for row in rows} == {'(48, 40)'}\n"
        "assert len({row['view'] for row in rows}) == 6",
    ),
    "docs/how-to/audit.md": Page("shutil.copytree('real_and_fake', 'photos/train', dirs_exist_ok=True)"),
    "docs/how-to/audit-an-index.md": Page(),
    "docs/how-to/build-and-publish.md": Page(
        after="assert views['train'][0]['image'].size == (48, 40) and views['train'].num_rows == 16"
    ),
    "docs/how-to/compare-and-publish.md": Page(
        f"{RESULTS}Path('benchmark').symlink_to({str(ROOT / 'benchmark')!r})",
        "assert probe.name == 'trace_probe' and len(probe.features) > 1",
    ),
    "docs/how-to/compare-systems.md": Page(
        "old, new = pandas.read_csv('old.csv'), pandas.read_csv('new.csv')",
        "frames = camtrace.compare_items({'old': old, 'new': new}, item='question', score='correct')\n"
        "assert frames.to_frame().equals(compared.to_frame()) and compared.gate.rows[0].n == 80",
    ),
    "docs/how-to/copies.md": Page(),
    "docs/how-to/diff.md": Page(),
    "docs/how-to/erase.md": Page(
        ERASER,
        "gap = clean[labels == 1].mean(0) - clean[labels == 0].mean(0)\n"
        "assert np.abs(gap).max() < 1e-5 and fitted.shape == (60, 8)",
    ),
    "docs/how-to/external-embeddings.md": Page(
        "def api(image):\n    return [float(np.asarray(image).mean()), float(np.asarray(image).std())]\n",
        tasks="probe/sharpening",
    ),
    "docs/how-to/flickrexif.md": Page(
        "build = ['build', 'simcams', '--scenes', '4', '--size', '64', '--configs', 'make', '--ignore-space']\n"
        "assert command([*build, '--output', 'flickrexif-with-photos']) == 0",
        "assert test.features['make'].int2str(test[0]['make']) in test.features['make'].names",
    ),
    "docs/how-to/gate-in-ci.md": Page(RESULTS, "assert not gate.worse and gate.rows"),
    "docs/how-to/own-processings.md": Page(tasks="probe/pipeline"),
    "docs/reference/simulated-cameras.md": Page(
        after="assert len(photos) == 1188 and photos.attributes['iso'].names[-1] == '3200'"
    ),
    "docs/tutorials/build-and-check.md": Page("shutil.rmtree('my_photos')"),
    "docs/tutorials/first-run.md": Page(),
    "docs/tutorials/score-your-encoder.md": Page(),
}

ELSEWHERE = {ROOT / "docs" / "how-to" / "extend.md"}


def small(step: str, tasks: str) -> str:
    """A command line, or a block, with small settings and the small encoder in place of the reader's."""
    names = r"(?<=--model )(?:MODEL|M|bundled:efficientnet-lite0)\b|runs/checkpoint-500"
    names += r"|(?<=\")(?:encoder/|runs/checkpoint-1000)(?=\")"
    step = re.sub(names, "control:random-projection", step)
    step = step.replace('data="sample"', 'data="sample", limit=40').replace("(photos.ids)", "(photos.ids[:90])")
    step = re.sub(r"--scenes \d+ --size \d+", "--scenes 3 --size 64", step)
    if re.match(r"camtrace (score|sweep)\b", step):
        step += "" if "--tasks" in step or "answers:" in step else f" --tasks {tasks}"
        step += " --limit 40" if "sample" in step else ""
    return step


def reason_not_run(step: str) -> str:
    """Why a step is not run, or nothing."""
    first, _, _ = step.partition("\n")
    return next((reason for pattern, reason in NOT_RUN.items() if re.search(pattern, first)), "")


def program_of(name: str) -> Iterator[str]:
    """The program that follows a page."""
    page = RUN[name]
    yield "import shlex, shutil, pandas, numpy as np\nfrom pathlib import Path\nimport camtrace\n"
    yield "from benchmark.__main__ import camtrace as command\n"
    yield page.before
    for language, step in steps((ROOT / name).read_text(encoding="utf-8")):
        if language == "toml" and "own-processings" in name:
            yield f"Path('mine.toml').write_text({step!r})"
        if language not in ("python", "bash") or reason_not_run(step):
            continue
        text = small(step, page.tasks)
        if language == "bash":
            ends = (0, 1) if "--exit-code" in text else (0,)
            text = f"assert command({shlex.split(text, comments=True)[1:]!r}) in {ends}, {step!r}"
        yield text
    yield page.after


def test_pages__every_step_runs_or_has_a_reason() -> None:
    needed = set()
    for page in set(PAGES) - ELSEWHERE:
        for language, step in steps(page.read_text(encoding="utf-8")):
            if language in ("python", "bash"):
                reason = reason_not_run(step)
                needed.add(reason)
                assert reason or str(page.relative_to(ROOT)) in RUN, f"{page}: {step}"
    assert needed - {""} == set(NOT_RUN.values())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the pages name."""
    folder = tmp_path_factory.mktemp("world")
    made = run_python("-c", WORLD, cwd=folder)
    assert made.returncode == 0, made.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN)
def test_page__can_be_followed(name: str, world: Path, tmp_path: Path) -> None:
    folder = tmp_path / "reader"
    shutil.copytree(world, folder)
    (folder / "follow.py").write_text("\n".join(program_of(name)))
    followed = run_python("follow.py", cwd=folder, timeout=600)
    assert followed.returncode == 0, followed.stdout[-2000:] + followed.stderr[-4000:]
