"""Notebooks: the lines of the README's Python section, and those of the tutorials."""

import base64
import io
import json
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

from scripts.docs_tables.notebooks import NOTEBOOKS, texts
from scripts.docs_tables.notebooks import executed as executed_notebook

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]

CELLS = {
    "import": """
import camtrace
import numpy as np
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.convolution = torch.nn.Conv2d(3, 16, 5, stride=2)

    def forward(self, pixels):
        return torch.relu(self.convolution(pixels)).amax((2, 3))

def my_transform(image):
    return torch.from_numpy(np.asarray(image.resize((48, 48)), dtype=np.float32) / 255).permute(2, 0, 1)

my_module = Net().train()
""",
    "named": """
results = camtrace.score(
    "bundled:efficientnet-lite0", data="folder:photos", tasks="probe/jpeg", limit=12, workers=0, device="cpu"
)
results
""",
    "in memory": """
results = camtrace.score(
    my_module,
    preprocess=my_transform,
    data=["sample", "simpairs?scenes=4&size=64"],
    tasks=["*/jpeg", "retrieval/*"],
    limit=40,
    workers=0,
    device="cpu",
)
""",
    "shown": "results",
    "frame": "results.to_frame()",
    "value": """
one = results.select(data="sample")
print(one["probe/jpeg"].value, results.save("out"), my_module.training)
""",
    "plot": "one.plot()",
    "compared": """
one.compare(camtrace.score(my_module, preprocess=my_transform, data="sample", tasks="*/jpeg", limit=40, workers=0))
""",
}


@pytest.fixture(scope="module")
def executed(tmp_path_factory, photo_folder):
    """Outputs by cell, and the folder."""
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "photos").symlink_to(photo_folder)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text.strip()) for text in CELLS.values()])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("CAMTRACE_CACHE", str(folder / "cache"))
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
    return {name: cell.outputs for name, cell in zip(CELLS, notebook.cells, strict=True)}, folder


def result_of(outputs):
    """The data that a cell ends with."""
    [result] = [output.data for output in outputs if output.output_type == "execute_result"]
    return result


def inline_picture(html):
    [encoded] = re.findall(r'src="data:image/png;base64,([A-Za-z0-9+/=]+)"', html)
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


def test_notebook__shows_the_table_and_the_picture(executed):
    outputs, _ = executed
    for name in ("named", "shown"):
        shown = result_of(outputs[name])
        assert shown["text/html"].count("<tr>") == shown["text/plain"].count("\n| ")
        assert "probe/jpeg" in shown["text/html"]
        picture = inline_picture(shown["text/html"])
        assert picture.width > 500
        assert np.asarray(picture.convert("L")).std() > 5  # something is drawn on it
    assert "bundled:efficientnet-lite0 on folder:" in result_of(outputs["named"])["text/plain"]
    assert {"sample", "simpairs:procedural"} <= set(
        re.findall(r"<td[^>]*>([^<]*)</td>", result_of(outputs["shown"])["text/html"])
    )


def test_notebook__frame_value_plot_comparison_and_files(executed):
    outputs, folder = executed
    frame = result_of(outputs["frame"])
    assert "<th>metric</th>" in frame["text/html"]
    [printed] = [output.text for output in outputs["value"] if output.output_type == "stream"]
    value, where, training = printed.split()
    assert (where, training) == ("out", "True")
    [saved] = list((folder / "out").glob("*/sample/result.json"))
    scores = json.loads(saved.read_text())["scores"]
    assert float(value) == next(s["value"] for s in scores if s["task"] == "probe/jpeg")
    assert (folder / "out" / "report.png").is_file()
    assert Image.open(io.BytesIO(base64.b64decode(result_of(outputs["plot"])["image/png"]))).width > 500
    assert "0 of" in result_of(outputs["compared"])["text/plain"]


def test_notebook__nothing_else_is_printed(executed):
    """No warning (of a progress bar that a notebook cannot show, of a backend), and scoring alone writes no file."""
    outputs, folder = executed
    messages = "".join(o.text for of_cell in outputs.values() for o in of_cell if o.get("name") == "stderr")
    assert "Warning" not in messages
    assert sorted(path.name for path in folder.iterdir()) == ["cache", "out", "photos"]


@pytest.mark.by_hand
@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_tutorial__its_outputs_are_those_of_a_new_run(path, tmp_path):
    stored = nbformat.read(path, as_version=4)
    printed = texts(stored)
    assert sum(map(len, printed)) >= 5
    assert texts(executed_notebook(path, tmp_path)) == printed, "run scripts/docs_tables/notebooks.py --write"
