"""A copy of the sources in which a registry has an entry more: what one entry brings is tried without leaving it in."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

END_OF_LIST = '\n)\n"""The one list'
"""How the tuple of entries ends in ``builders/pixels/parameters.py`` and ``builders/exif/attributes.py``."""


class SourceCopy:
    """The packages in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for package in ("builders", "benchmark", "cards"):
            leave = shutil.ignore_patterns("__pycache__", "node_modules")
            shutil.copytree(ROOT / package, folder / package, ignore=leave)
        for module in ROOT.glob("*.py"):
            shutil.copy(module, folder)

    def insert(self, file: str, before: str, text: str) -> None:
        """Put ``text`` in front of the one place in ``file`` that reads ``before``."""
        source = (self.folder / file).read_text()
        assert source.count(before) == 1, f"{file}: {source.count(before)} places read {before!r}"
        (self.folder / file).write_text(source.replace(before, text + before))

    def run(self, program: str, *arguments: object) -> str:
        """What a Python program printed that ran on the copy, with ``sys.argv[1:]`` as given."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder), "CAMTRACE_CACHE": str(self.folder / "cache")}
        ran = subprocess.run(
            [sys.executable, "-c", program, *map(str, arguments)],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout
