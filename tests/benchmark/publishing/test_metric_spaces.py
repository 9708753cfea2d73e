"""The Space of each metric: its files, and a card whose example is the metric's own."""

import pytest

from benchmark.metrics import DEFINITIONS
from benchmark.publishing import write_space


@pytest.mark.parametrize("metric", DEFINITIONS)
def test_write_space__four_files_of_which_the_card_is_last(metric, tmp_path):
    definition = DEFINITIONS[metric]
    assert write_space(metric, "me/mine", tmp_path) == [f"{metric}.py", "requirements.txt", "index.html", "README.md"]
    files = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert "me/mine" in files[f"{metric}.py"]
    assert f"camtrace/{metric}" not in files[f"{metric}.py"]
    assert files["requirements.txt"].startswith("camtrace[encoders]")
    for name in ("index.html", "README.md"):
        assert definition.title in files[name]
        assert definition.class_name in files["README.md"]
    example = [line.strip()[4:] for line in definition.example_from("me/mine").splitlines() if ">>> " in line]
    assert example
    assert all(line in files["README.md"] for line in example)
