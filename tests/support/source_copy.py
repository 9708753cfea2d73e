"""A copy of the sources in which a registry has an entry more: what one entry brings is tried without leaving it in."""

import os
import shutil
from pathlib import Path

from tests.support.processes import run_python

ROOT = Path(__file__).parents[2]

END_OF_LIST = '\n)\n"""All '
"""How the tuple of entries ends in ``builders/pixels/parameters.py`` and ``builders/exif/attributes.py``."""

ENGINE = "builders/pixels/engine"
SOLVER = "benchmark/probe/solver/kernels/newton.py"


class SourceCopy:
    """The packages in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for package in ("builders", "benchmark", "cards"):
            leave = shutil.ignore_patterns("__pycache__", "node_modules")
            shutil.copytree(ROOT / package, folder / package, ignore=leave)
        for module in ROOT.glob("*.py"):
            shutil.copy(module, folder)
        # kernels are kept under the path of their source: those of a copy would be compiled anew, ten seconds and more
        with (folder / ENGINE / "__init__.py").open("a") as face:
            face.write(f"\n__path__[:] = [{str(ROOT / ENGINE)!r}]\n")
        solver = f"__file__ = {str(ROOT / SOLVER)!r}\nexec(compile(open(__file__).read(), __file__, 'exec'))\n"
        (folder / SOLVER).write_text(solver)

    def insert(self, file: str, before: str, text: str) -> None:
        """Put ``text`` in front of the one place in ``file`` that reads ``before``."""
        assert not file.startswith((ENGINE, SOLVER)), "compiled kernels are not copied"
        source = (self.folder / file).read_text()
        assert source.count(before) == 1, f"{file}: {source.count(before)} places read {before!r}"
        (self.folder / file).write_text(source.replace(before, text + before))

    def run(self, program: str, *arguments: object) -> str:
        """What a Python program printed that ran on the copy, with ``sys.argv[1:]`` as given."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder), "CAMTRACE_CACHE": str(self.folder / "cache")}
        ran = run_python("-c", program, *arguments, cwd=self.folder, env=environment, timeout=240)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout
