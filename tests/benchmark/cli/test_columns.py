"""Labels and groups of a data specification in commands other than ``score``: cells come before the work."""

from __future__ import annotations

import json

import datasets
import pytest

from benchmark.__main__ import main
from tests.support.layouts import write_layout

pytestmark = pytest.mark.usefixtures("unpainted")

CELLS = {"2 labels x 2 generator: photos in each cell", "BigGAN SDv14", "ai 12 12", "nature 12 12"}


def lines(text: str) -> set[str]:
    """The lines of an output, with single spaces."""
    return {" ".join(line.split()) for line in text.splitlines()}


@pytest.fixture(scope="module")
def genimage(tmp_path_factory) -> str:
    root = tmp_path_factory.mktemp("sets") / "GenImage"
    write_layout(root, "{BigGAN,SDv14}/imagenet_ai/{train,val}/{ai,nature}/{0..5}.png")
    return f"folder:{root}"


def given(genimage: str) -> str:
    return f"{genimage}?label=folder:4&group=generator=folder:1&split=folder:3"


def test_build__takes_columns_and_refuses_levels_that_are_no_classes(genimage, tmp_path, capsys):
    words = ["build", "folder", "--parameter", "sharpening", "--output", str(tmp_path / "out"), "--workers", "1"]
    assert main([*words, "--source", genimage]) == 2
    meant = capsys.readouterr().err.split("did you mean '")[1].split("'")[0]
    assert meant == f"{genimage}?label=folder:4&group=generator=folder:1&split=folder:3"
    assert main([*words, "--source", meant]) == 0
    assert lines(capsys.readouterr().err) >= CELLS
    built = datasets.load_dataset(str(tmp_path / "out"), "sharpening")
    assert built["train"].features["label"].names == ["ai", "nature"]
    assert {split: len(part) for split, part in built.items()} == {"train": 24, "validation": 24}


@pytest.mark.parametrize("label", [[], ["--label", "generator"], ["--label", "re:(BigGAN|SDv14)"]])
def test_audit__takes_columns(genimage, tmp_path, capsys, label):
    assert main(["audit", given(genimage), *label, "--output", str(tmp_path)]) == 0
    output = capsys.readouterr()
    assert lines(output.err) >= CELLS
    audited = json.loads((tmp_path / "audit.json").read_text())
    assert set(audited["classes"]) == ({"BigGAN", "SDv14"} if label else {"ai", "nature"})
    assert str(tmp_path.parent) not in (tmp_path / "audit.json").read_text()


def test_audit__a_label_of_its_own_needs_no_more(genimage, tmp_path):
    assert main(["audit", genimage, "--label", "re:/(ai|nature)/", "--output", str(tmp_path)]) == 0
    assert set(json.loads((tmp_path / "audit.json").read_text())["classes"]) == {"ai", "nature"}


def test_plan__of_a_build_prints_the_cells_first(genimage, tmp_path, capsys):
    words = ["folder", "--source", given(genimage), "--parameter", "sharpening", "--output", str(tmp_path / "out")]
    assert main(["plan", "build", *words, "--ranks", "2"]) == 0
    assert lines(capsys.readouterr().err) >= CELLS
