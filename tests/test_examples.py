"""The Python of the documentation, executed: every block of a page runs, or is named with the reason why it does not.

``tests/test_extend.py`` runs those of ``docs/how-to/extend.md``, ``tests/test_docs.py`` follows the tutorials,
``tests/test_notebook.py`` executes the notebooks, and ``tests/test_readme.py`` the README.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from tests.support.processes import run_python
from tests.test_docs import TUTORIALS, command_lines

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

PHOTOS = """
from pathlib import Path
import numpy as np
from PIL import Image
rng = np.random.default_rng(0)
for folder in ("photos", "my_photos"):
    for split, count in (("train", 8), ("val", 4)):
        for shade, name in enumerate(("cat", "dog")):
            Path(folder, split, name).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 120, (40, 48, 3)) + 100 * shade
                Image.fromarray(pixels.astype(np.uint8)).save(Path(folder, split, name, f"{number}.jpg"), quality=90)
"""

ENCODER = """
import torch
import transformers as tf
sizes = dict(image_size=32, patch_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
tf.Dinov2Model(tf.Dinov2Config(**sizes)).save_pretrained("encoder")
crop = {"height": 32, "width": 32}
tf.BitImageProcessor(size={"shortest_edge": 40}, crop_size=crop).save_pretrained("encoder")
"""

COMMAND = "from benchmark.__main__ import camtrace as command\n"

ERASER = """
import camtrace
import numpy as np
rng = np.random.default_rng(0)
labels = np.arange(60) % 2
embeddings, other, queries = (rng.normal(size=(60, 8)).astype(np.float32) for _ in range(3))
embeddings[:, 0] += 4 * labels
camtrace.fit_eraser(embeddings, labels).save("eraser")
"""

PAGES = {
    "how-to/answers.md": (
        PHOTOS + COMMAND + "build = ['build', 'folder', '--data', 'folder:my_photos', '--parameter', 'jpeg']\n"
        "build += ['--assignment', 'every', '--lossless', '--output', 'out/views', '--workers', '1']\n"
        "assert command(build) == 0\n"
        "def api(image, prompt):\n    return f'{prompt and image.size}'\n",
        "rows = [json.loads(line) for line in open('answers.jsonl')]\n"
        "assert len(rows) == 6 * len(questions) > 0 and {row['answer'] for row in rows} == {'(48, 40)'}\n"
        "assert len({row['view'] for row in rows}) == 6",
    ),
    "how-to/build-and-publish.md": (
        PHOTOS,
        "assert views['train'][0]['image'].size == (48, 40) and views['train'].num_rows == 16",
    ),
    "how-to/compare-and-publish.md": (
        f"import os\nos.chdir({str(ROOT)!r})",
        "assert probe.name == 'trace_probe' and len(probe.features) > 1",
    ),
    "how-to/erase.md": (
        ERASER,
        "gap = clean[labels == 1].mean(0) - clean[labels == 0].mean(0)\n"
        "assert np.abs(gap).max() < 1e-5 and fitted.shape == (60, 8)",
    ),
    "how-to/external-embeddings.md": (
        PHOTOS + COMMAND + "build = ['build', 'folder', '--data', 'folder:my_photos', '--parameter', 'sharpening']\n"
        "build += ['--assignment', 'every', '--lossless', '--output', 'out/views', '--workers', '1']\n"
        "assert command(build) == 0\n"
        "def api(image):\n    return [float(np.asarray(image).mean()), float(np.asarray(image).std())]\n",
        "score = ['score', '-m', 'embeddings:sharpening.parquet', '-d', 'built:out/views', '-o', 'scores']\n"
        "assert command([*score, '-t', 'probe/sharpening']) == 0",
    ),
    "how-to/flickrexif.md": (
        COMMAND + "build = ['build', 'simcams', '--scenes', '4', '--size', '64', '--configs', 'make']\n"
        "assert command([*build, '--ignore-space', '--output', 'flickrexif-with-photos']) == 0",
        "assert test.features['make'].int2str(test[0]['make']) in test.features['make'].names",
    ),
    "how-to/gate-in-ci.md": (
        PHOTOS + ENCODER + "import camtrace\ncamtrace.score('encoder/', data='folder:photos', output='results/old')",
        "assert not gate.worse and gate.rows",
    ),
    "how-to/compare-systems.md": (
        "import numpy as np, pandas\nrng = np.random.default_rng(0)\n"
        "old, new = (pandas.DataFrame({'question': range(80), 'correct': rng.integers(0, 2, 80)}) for _ in range(2))\n"
        "old.to_csv('old.csv', index=False)\nnew.to_csv('new.csv', index=False)",
        "frames = camtrace.compare_items({'old': old, 'new': new}, item='question', score='correct')\n"
        "assert frames.to_frame().equals(compared.to_frame()) and compared.gate.rows[0].n == 80",
    ),
    "reference/simulated-cameras.md": (
        "",
        "assert len(photos) == 1188 and photos.attributes['iso'].names == ('100', '200', '400', '800', '1600', '3200')",
    ),
}
"""Page -> what its blocks need before them, and what holds after them. The blocks of a page run in one session."""

NOT_RUN = {
    "from camtrace import TraceCallback\n": "parts of a script: tests/benchmark/api/test_training.py has whole ones",
}
"""Beginning of a block -> why it is not run."""

ELSEWHERE = {DOCS / "how-to" / "extend.md", *TUTORIALS}
"""Pages whose blocks other tests run."""


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def reason_not_run(block: str) -> str:
    """Why a block is not run, or nothing."""
    if "faiss." in block and not importlib.util.find_spec("faiss"):
        return "faiss is not installed"
    return next((reason for start, reason in NOT_RUN.items() if block.startswith(start)), "")


def test_pages__every_one_with_python_is_run() -> None:
    run_here = {page for page in DOCS.rglob("*.md") if any(not reason_not_run(block) for block in blocks(page))}
    assert run_here - ELSEWHERE == {DOCS / name for name in PAGES}


def test_not_run__every_reason_is_needed() -> None:
    everywhere = [block for page in DOCS.rglob("*.md") for block in blocks(page)]
    assert [start for start in NOT_RUN if not any(block.startswith(start) for block in everywhere)] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_page__its_python_runs(name: str, tmp_path: Path) -> None:
    before, after = PAGES[name]
    program = "\n".join([before, *(block for block in blocks(DOCS / name) if not reason_not_run(block)), after])
    (tmp_path / "example.py").write_text(f"{program}\n")
    ran = run_python("example.py", cwd=tmp_path, timeout=600)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-4000:]


COMMANDS = ("audit", "build-and-publish", "compare-systems", "copies", "diff", "gate-in-ci", "own-processings")
"""How-to guides whose command lines run on small photos and a small network, but for those that need others' data."""

OF_OTHERS = re.compile(
    r"hub:|imagenet|inat2018|paircams|out/before|me/my-traces --push|parquet|logs/|org__|ModelA|onnx| ms "
)

TABLES = """
import pandas, shutil
frame = pandas.DataFrame({"id": range(80), "question": range(80), "document": [i // 4 for i in range(80)]})
for name, every in (("old", 2), ("new", 3)):
    frame.assign(correct=[int(i % every == 0) for i in range(80)]).to_csv(f"{name}.csv", index=False)
for name, qualities in (("cat", (90, 90, 90, 60)), ("dog", (60, 60, 60, 90))):  # an audit finds this, and can match it
    for number in range(8, 48):
        picture = Image.fromarray(rng.integers(0, 255, (40, 48, 3)).astype(np.uint8))
        picture.save(Path("photos", "train", name, f"{number}.jpg"), quality=qualities[number % 4])
shutil.copytree("photos", "real_and_fake")
shutil.copy("photos/train/cat/0.jpg", "photo.jpg")
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_page__its_commands_run(name: str, tmp_path: Path) -> None:
    text = (DOCS / "how-to" / f"{name}.md").read_text(encoding="utf-8")
    lines = [line for line, whole in command_lines(text) if whole and not OF_OTHERS.search(line)]
    assert lines
    if settings := re.search(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        (tmp_path / "mine.toml").write_text(settings[1])
    program = [PHOTOS, ENCODER, TABLES, COMMAND, "import shlex"]
    if name == "gate-in-ci":  # the check of the first block has results already
        lines.sort(key=lambda line: line.startswith("camtrace compare"))
    for line in lines:
        words = shlex.split(re.sub(r"\b(?:OLD_|NEW_)?MODEL\b|(?<=--model )M\b", "encoder", line), comments=True)[1:]
        ends = (0, 1) if "--exit-code" in words else (0,)
        program.append(f"assert command({words!r}) in {ends}, {line!r}")
    (tmp_path / "commands.py").write_text("\n".join(program))
    ran = run_python("commands.py", cwd=tmp_path, timeout=600)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-4000:]
