"""The notebooks of ``docs/tutorials``: executed, so that their outputs are those of today's code.

    python scripts/docs_tables/notebooks.py            # executes them and says whether their outputs are up to date
    python scripts/docs_tables/notebooks.py --write    # executes them and stores the outputs

``tests/test_notebook.py`` compares the stored outputs with what they print.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "tutorials").glob("*.ipynb"))


def executed(path: Path, folder: Path) -> Any:
    """The notebook with the outputs of a new run, without times and counts of runs.

    Args:
        path: the file.
        folder: where it runs and caches; an empty one.
    """
    notebook = nbformat.read(path, as_version=4)
    environment = {"PYTHONPATH": str(ROOT), "CAMTRACE_CACHE": str(folder / "cache"), "JUPYTER_PLATFORM_DIRS": "1"}
    with patch.dict(os.environ, environment):
        NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_progress(output)]
    notebook.metadata = {"kernelspec": notebook.metadata.kernelspec}
    return notebook


def _is_progress(output: Any) -> bool:
    return output.get("name") == "stderr" or "application/vnd.jupyter.widget-view+json" in output.get("data", {})


def texts(notebook: Any) -> list[list[str]]:
    """Text of each output by cell; a picture counts by its type, and numbers by their place.

    >>> cell = nbformat.v4.new_code_cell("1", outputs=[nbformat.v4.new_output("stream", text="26.7 % of 110")])
    >>> texts(nbformat.v4.new_notebook(cells=[cell]))
    [['# % of #']]
    """
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [[_text(output) for output in cell.outputs] for cell in cells]


def _text(output: Any) -> str:
    data = output.get("data", {})
    if "image/png" in data:
        return "image/png"
    text = re.sub(r"[+-]?\d+(\.\d+)?(e-?\d+)?", "#", output.get("text", data.get("text/plain", "")))
    return re.sub(r"[-\s]+", " ", text).strip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="store the outputs")
    write = parser.parse_args().write
    old = []
    for path in NOTEBOOKS:
        with tempfile.TemporaryDirectory() as folder:
            notebook = executed(path, Path(folder))
        if write:
            nbformat.write(notebook, path)
        elif texts(notebook) != texts(nbformat.read(path, as_version=4)):
            old.append(path.name)
    print(f"{len(NOTEBOOKS)} executed; outputs that differ: {', '.join(old) or 'none'}")
    return 1 if old else 0


if __name__ == "__main__":
    raise SystemExit(main())
