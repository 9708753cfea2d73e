"""The examples of ``docs/how-to/extend.md``: read from the page, put into a copy of the sources, and used.

An example is a code block below a line that names its place, such as "In `FILE`, at the end of `NAME`:".
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.source_copy import ROOT, SourceCopy
from tests.test_layers import LARGEST_FOLDER

PAGE = ROOT / "docs" / "how-to" / "extend.md"

PLACE = re.compile(
    r"^(?P<how>New file|At the end of|In) `(?P<file>[^`]+)`(?:, (?P<where>[a-z ]+?)(?: `(?P<name>[^`]+)`)?)?:\n\n"
    r"```\w+\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)

CHECKS = {
    "Parameter of processing": """
from benchmark.tasks import all_tasks
from builders.pixels import ALL_PARAMETERS
assert ALL_PARAMETERS["webp"].chance == 1 / 3
assert {"probe/webp", "knn/webp"} <= set(all_tasks())
""",
    "Attribute": """
from benchmark.tasks import all_tasks
from builders.exif import acquisition_from_raw, label
assert label(acquisition_from_raw({"WhiteBalance": "1"}), "white_balance") == "manual"
assert label(acquisition_from_raw({}), "white_balance") == "unknown"
assert "probe/white-balance" in all_tasks()
""",
    "Spelling of a make or model": """
from builders.exif import acquisition_from_raw, device_type, known_make
assert known_make("ROLLEI FOTOTECHNIC") and not known_make("Rolltop")
assert device_type(acquisition_from_raw({"Make": "Rollei", "Model": "d30flex"})) == "camera"
""",
    "Source of data": """
import io
from pathlib import Path
from PIL import Image
import camtrace
rows = ["path,label"]
for i in range(40):
    Image.new("RGB", (32, 24), (6 * i, 0, 255 - 6 * i)).save(f"{i}.png")
    rows.append(f"{i}.png,{'blue' if i < 20 else 'red'}")
Path("photos.csv").write_text("\\n".join(rows))
photos = camtrace.open_photos("list:photos.csv")
assert photos.name == "list:photos" and len(photos) == 40 and photos.labels.names == ("blue", "red")
assert 0 < len(photos.indices("val")) < 20
assert Image.open(io.BytesIO(photos.read(3))).getpixel((0, 0)) == (18, 0, 237)
""",
    "Encoder with a name": """
import camtrace
import numpy as np
import torch
from PIL import Image
encoder = camtrace.load_encoder("control:mean-colour", device="cpu")
photo = Image.new("RGB", (9, 7), (10, 20, 30))
assert np.allclose(encoder.embed(torch.as_tensor(encoder.preprocess(photo))[None])[0], (10, 20, 30))
assert "control:mean-colour" in [row.spec for row in camtrace.list_encoders()]
""",
    "Statement of how encoders were trained": """
from benchmark.encoders.provenance import group_and_data
assert group_and_data("example/example-base") == ("SSL", "ImageNet-1k")
""",
    "Family of transformers models": """
import numpy as np
import torch
import transformers as tf
from PIL import Image
import camtrace
torch.manual_seed(0)
config = tf.ViTConfig(hidden_size=32, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4, image_size=32,
                      patch_size=8)
tf.ViTModel(config).eval().save_pretrained("vit")
tf.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained("vit")
assert camtrace.load_encoder("local-dir:vit", device="cpu").info.pooling == "the last patch"
""",
    "Probe protocol": """
import numpy as np
from benchmark.probe import LabelledSplits, labelled_probe
rng = np.random.default_rng(0)
y = np.arange(90) % 3
x = (4 * np.eye(3, 8)[y] + rng.normal(size=(90, 8))).astype(np.float32)
answers = labelled_probe(LabelledSplits(x[:60], y[:60], None, None, x[60:], y[60:], 3), protocol="means")
assert answers.protocol == "means" and answers.accuracy > 0.8
""",
    "Reader": """
import numpy as np
from benchmark.probe import LabelledSplits, chosen_readers, labelled_probe
assert chosen_readers("first") == "linear,first"
y = np.array([0, 0, 1] * 20)
x = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
splits = LabelledSplits(x[:30], y[:30], None, None, x[30:], y[30:], 2)
assert abs(labelled_probe(splits, reader="first").accuracy - 2 / 3) < 1e-9
""",
    "Method of erasing": """
import camtrace
import numpy as np
y = np.arange(80) % 2
x = np.random.default_rng(0).normal(size=(80, 6)).astype(np.float32)
x[:, 0] += 4 * y
whole, half = (camtrace.fit_eraser(x, y, method=method).apply(x) for method in ("mean", "half"))
def gap(rows):
    return np.linalg.norm(rows[y == 1].mean(0) - rows[y == 0].mean(0))
assert gap(whole) < 0.01 < gap(half)
""",
    "Option of score": """
import contextlib, inspect, io
from benchmark.__main__ import camtrace
from benchmark.api import score
from benchmark.options import RunOptions
assert RunOptions().shufflings == inspect.signature(score).parameters["shufflings"].default == 100
with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
    camtrace(["score", "--help", "all"])
assert "--shufflings N" in printed.getvalue()
""",
    "Audit feature": """
from benchmark.audit.features import FEATURES
from benchmark.audit.features import values_of
from builders.exif import file_facts
from builders.photos import Head
import io
from PIL import Image
buffer = io.BytesIO()
Image.new("RGB", (40, 30)).save(buffer, "JPEG")
data = buffer.getvalue()
assert values_of(file_facts(Head(data, len(data)), lambda more: Head(data, len(data))))["upright"] == "landscape"
""",
    "Simulated camera": """
from builders.simcams import bundled_catalogue
assert len(bundled_catalogue()) == 28
""",
    "Command": """
from benchmark.__main__ import camtrace
assert camtrace(["hello", "--name", "reader"]) == 0
""",
}
"""What must hold on the copy, by section of the page."""


@dataclass(frozen=True)
class Edit:
    """One code block of the page and the place that the line above it names."""

    section: str
    how: str
    file: str
    where: str
    name: str
    text: str

    def apply(self, folder: Path) -> None:
        """Change, or create, the file below ``folder``."""
        path = folder / self.file
        assert path.exists() == (self.how != "New file"), f"{self.section}: {self.file}"
        source = path.read_text(encoding="utf-8") if path.exists() else ""
        path.write_text(self.changed(source), encoding="utf-8")

    def changed(self, source: str) -> str:
        """The text of the file with the block in its place."""
        if self.how != "In":
            return source + self.text
        if self.where == "below":
            assert source.count(f"\n{self.name}\n") == 1, f"{self.file}: one line {self.name!r}"
            return source.replace(f"\n{self.name}\n", f"\n{self.name}\n{self.text}")
        tree = ast.parse(source)
        lines = source.splitlines(keepends=True)
        if self.where == "after the imports":
            last = max(node.end_lineno or 0 for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom))
            return "".join([*lines[:last], self.text, *lines[last:]])
        node = defined(tree, self.name, self.file)
        if self.where == "before":
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]) - 1
            return "".join([*lines[:first], self.text, *lines[first:]])
        assert self.where == "at the end of"
        assert isinstance(node, ast.Assign | ast.AnnAssign)
        assert node.value
        entries = next(n for n in ast.walk(node.value) if isinstance(n, ast.Tuple | ast.Dict | ast.List))
        row, column = (entries.end_lineno or 0) - 1, (entries.end_col_offset or 0) - 1
        head = "".join([*lines[:row], lines[row].encode()[:column].decode()]).rstrip()
        comma = "" if head.endswith((",", "(", "[", "{")) else ","
        return f"{head}{comma}\n{self.text}" + lines[row].encode()[column:].decode() + "".join(lines[row + 1 :])


def defined(tree: ast.AST, name: str, file: str) -> ast.stmt:
    """The one statement that defines a name."""
    result: list[ast.stmt] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign):
            names = [node.target.id] if isinstance(node.target, ast.Name) else []
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names = [node.name]
        else:
            continue
        result += [node] * (name in names)
    assert len(result) == 1, f"{file}: {len(result)} definitions of {name}"
    return result[0]


def edits() -> list[Edit]:
    """Every code block of the page, in order."""
    text = PAGE.read_text(encoding="utf-8")
    read = []
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        section, _, body = part.partition("\n")
        fields = [[result[key] or "" for key in PLACE.groupindex] for result in PLACE.finditer(body)]
        blocks = [Edit(section, *values) for values in fields]
        assert len(blocks) == len(re.findall(r"^```\w", body, re.MULTILINE)), f"a block of {section!r} names no place"
        read += blocks
    return read


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> SourceCopy:
    """The sources with every example of the page."""
    made = SourceCopy(tmp_path_factory.mktemp("sources") / "copy")
    for edit in edits():
        edit.apply(made.folder)
    return made


def test_extend__every_example_has_a_check() -> None:
    assert list(dict.fromkeys(edit.section for edit in edits())) == list(CHECKS)


def test_extend__new_files_fit_into_their_folders(copy: SourceCopy) -> None:
    folders = {(copy.folder / edit.file).parent for edit in edits() if edit.how == "New file"}
    sizes = {folder.name: sum(path.name != "__init__.py" for path in folder.glob("*.py")) for folder in folders}
    assert sizes
    assert {name: size for name, size in sizes.items() if size > LARGEST_FOLDER} == {}


@pytest.mark.slow
@pytest.mark.parametrize("section", CHECKS)
def test_extend__the_example_works(section: str, copy: SourceCopy) -> None:
    copy.run(CHECKS[section])
