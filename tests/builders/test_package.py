"""The package as it is imported: cheap, without torch, and with every public name in its place."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import builders

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_import__costs_nothing_and_never_brings_torch_or_the_benchmark():
    program = (
        "import sys, builders\n"
        "assert not {'datasets', 'numpy', 'pyarrow'} & set(sys.modules)\n"
        "for name in builders.__all__: getattr(builders, name)\n"
        "assert not {'torch', 'benchmark'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_import__a_name_is_never_shadowed_by_a_module():
    """Once ``builders.x`` is imported, the module is the package's attribute ``x``: no public name may be called so."""
    assert not {path.stem for path in (ROOT / "builders").iterdir()} & set(builders.__all__)


def test_getattr__an_unknown_name():
    with pytest.raises(AttributeError, match="'with_procesing'"):
        builders.with_procesing  # noqa: B018
    assert "with_processing" in dir(builders)


def test_words__a_public_name_is_defined_in_one_module():
    """One notion, one owner: two modules that define one name mean two things by it, or the same thing twice."""
    owners: dict[str, set[str]] = {}
    for path in sorted((ROOT / "builders").rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
            for target in targets:
                name = getattr(target, "id", None) or getattr(target, "name", "_")
                if not name.startswith("_") and name not in ("main", "parser", "run"):  # what every command has
                    owners.setdefault(name, set()).add(path.relative_to(ROOT).as_posix())
    assert len(owners) > 500
    assert {name: sorted(files) for name, files in owners.items() if len(files) > 1} == {}
