"""The README: its recipes run literally, in one folder, with small photos and checkpoints."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.processes import run_python

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RECIPES = README[README.index("\n## Recipes") : README.index("\n## Platforms")]

VIT = {"image_size": 32, "patch_size": 8, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}

OPENING = """\
    pip install -e ".[encoders,sample,fast]" && camtrace score
    pip install -e ".[test]" && pytest -n 3 --dist worksteal
"""
"""The tests are the second command; ``tests/test_wheel.py`` installs the package and runs the first one shortened."""


def steps(text):
    """("bash", command) and ("python", block), in the order of the page."""
    matches = re.finditer(r"^    (camtrace [^\n]*)$|^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [("bash", step[1]) if step[1] else ("python", step[2]) for step in matches]


@pytest.fixture
def folder(tmp_path):
    """What the recipes name: photos, a real/fake set, two checkpoints, and a list of models."""
    import torch
    import transformers as tf

    rng = np.random.default_rng(0)
    for place, classes in (("photos", ("cat", "dog")), ("real_and_fake", ("real", "fake"))):
        for split, count in (("train", 8), ("val", 4)):
            for shade, name in enumerate(classes):
                (tmp_path / place / split / name).mkdir(parents=True)
                for number in range(count):
                    pixels = rng.integers(0, 120, (40, 48, 3)) + 100 * shade
                    image = Image.fromarray(pixels.astype(np.uint8))
                    image.save(tmp_path / place / split / name / f"{number}.jpg", quality=95 - 20 * shade)
    for step in (500, 1000):
        torch.manual_seed(step)
        model = tf.Dinov2Model(tf.Dinov2Config(**VIT))
        model.save_pretrained(tmp_path / "runs" / f"checkpoint-{step}")
        processor = tf.BitImageProcessor(size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32})
        processor.save_pretrained(tmp_path / "runs" / f"checkpoint-{step}")
    (tmp_path / "models.txt").write_text("runs/checkpoint-1000\ncontrol:jpeg-statistics  # no network\n")
    return tmp_path


@pytest.mark.slow
def test_readme__its_recipes_run_in_their_order(folder):
    program = ["import shlex\nfrom benchmark.__main__ import camtrace as command\n"]
    for language, text in steps(RECIPES):
        if language == "python":
            program.append(text)
        else:
            ends = (0, 1) if "--exit-code" in text else (0,)
            program.append(f"assert command(shlex.split({text!r})[1:]) in {ends}, {text!r}\n")
    (folder / "recipes.py").write_text("\n".join(program))
    done = run_python("recipes.py", cwd=folder, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    for written in (
        *("results/new/result.json", "results/new/answers.npz", "results/new/report.html", "audit/audit.html"),
        *("traces.pdf", "probes.svg", "sweep/report.md", "site/index.html", "out/photos-jpeg/README.md"),
    ):
        assert (folder / written).is_file(), written
    assert "checks passed" in done.stdout


def test_steps__are_commands_and_python_in_their_order():
    text = "## Recipes\n\n    camtrace a\n\n`camtrace b`\n\n```python\nc\n```\n\n    camtrace d --e\n    other\n"
    assert steps(text) == [("bash", "camtrace a"), ("python", "c\n"), ("bash", "camtrace d --e")]
    assert len(steps(RECIPES)) > 8


def test_readme__opens_with_the_two_commands_and_is_short():
    assert OPENING in README
    assert README.index(OPENING) < README.index("\n## Recipes")
    assert len(README.split()) <= 1200
    pyproject = (ROOT / "pyproject.toml").read_text()
    for extra in ("encoders", "sample", "fast", "test"):
        assert re.search(rf"^{extra} = ", pyproject, re.MULTILINE)
