"""Hash of the code that decides scores, for the keys of cached outcomes.

A hand-written list of packages becomes incomplete unnoticed, and then an outcome of old code is read as a current one.
So the packages are derived: everything that ``benchmark.tasks`` and extras with tasks import, but for the packages of
``HELD_ELSEWHERE``, each with its reason. A new package counts as soon as it is imported.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import benchmark
from benchmark.compute import library_version
from builders.plugins import extras

START = "benchmark.tasks"
"""The package whose imports decide a score."""

HELD_ELSEWHERE: Mapping[str, str] = MappingProxyType(
    {
        "benchmark.bank": "stores embeddings; the key of the bank, a part of the outcome's key, names their content",
        "benchmark.encoders": "makes embeddings; weights, preprocessing, precision and runtime are in the bank's key",
        "benchmark.views": "makes what encoders see; the keys of the views and the codec canary are in the key",
        "benchmark.audit": "describes files next to scores, and decides none",
        "benchmark.report": "writes texts and figures of scores that exist, and decides none",
        "benchmark.options": "declares options; the value of each one that affects scores is in the key",
        "builders.errors": "defines exceptions, which leave no outcome",
        "builders.files": "writes files atomically, whatever they hold",
        "builders.sources": "opens photo sets and tables; ids, labels and questions that they held are in the key",
        "builders.untrusted": "reads untrusted files; what they held is in the key as bytes, weights and labels",
    }
)
"""Packages that tasks import and whose code is not hashed, with the reason why the key holds their effect otherwise.
What they import in turn counts only where something else imports it too."""

_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+(?P<of>(?:benchmark|builders)(?:\.\w+)*)[ \t]+import[ \t]+(?P<names>\([^)]*\)|[^\n#]+)"
    rb"|import[ \t]+(?P<plain>(?:benchmark|builders)[^\n#]*))",
    re.MULTILINE,
)
"""An import of this project's modules: at the top of a file, in a function, or under ``TYPE_CHECKING``, since an object
that is imported as a type is still called, as an eraser's ``apply`` is. It is a pattern because ``ast`` can fail next
to other threads (cpython gh-106905)."""

_BY_TEXT = re.compile(rb"""["']((?:benchmark|builders)(?:\.\w+)+)(?::\w+)?["']""")
"""A module that is imported by its name as text, as registries do."""


@functools.cache
def code_hash() -> str:
    """16 hex digits that name the installed code that decides scores."""
    return hash_of_code(Path(benchmark.__file__).parents[1])


def hash_of_code(root: Path) -> str:
    """16 hex digits that name the version, and every file of the packages that decide scores.

    Args:
        root: folder that holds ``benchmark`` and ``builders``.

    Raises:
        RuntimeError: a package, or one of ``HELD_ELSEWHERE``, has no file there.
    """
    digest = hashlib.sha256((library_version("camtrace") or "").encode())
    for _, files in sorted(scoring_packages(root).items()):
        for name, content in files.items():
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def scoring_packages(root: Path) -> dict[str, dict[str, bytes]]:
    """Every package whose code decides scores, and the content of its files by path below ``root``.

    Args:
        root: folder that holds ``benchmark`` and ``builders``.

    Raises:
        RuntimeError: a package, or one of ``HELD_ELSEWHERE``, has no file there.

    >>> packages = scoring_packages(Path(benchmark.__file__).parents[1])
    >>> "benchmark.probe" in packages, "benchmark.encoders" in packages
    (True, False)
    """
    for name in HELD_ELSEWHERE:
        if not (_folder(root, name).is_dir() or _module(root, name).is_file()):
            raise RuntimeError(f"{name}: there is no such package; correct HELD_ELSEWHERE in {Path(__file__).name}")
    packages: dict[str, dict[str, bytes]] = {}
    waiting = [START, *(_package(added.partition(":")[0]) for added in extras("benchmark", "TASKS").values())]
    while waiting:
        name = waiting.pop()
        if name in packages or name in HELD_ELSEWHERE:
            continue
        packages[name] = files_of_package(root, name)
        for path, content in packages[name].items():
            if path.endswith(".py"):
                waiting += _imported(content)
    return packages


def _imported(source: bytes) -> Iterator[str]:
    """The packages that a file imports.

    >>> sorted(_imported(b"from benchmark import knn\\nif x:\\n    import builders.exif.reader as r, os\\n"))
    ['benchmark.knn', 'builders.exif']
    """
    for match in _IMPORT.finditer(source):
        of, names, plain = match["of"], match["names"], match["plain"]
        if plain is not None:
            modules = [word.split()[0] for word in plain.split(b",") if word.split()]
        elif b"." in of:
            modules = [of]
        else:
            modules = [of + b"." + word.split()[0] for word in names.strip(b"() \t").split(b",") if word.split()]
        for module in modules:
            parts = module.decode().split(".")
            if parts[0] in ("benchmark", "builders") and len(parts) > 1:
                yield _package(module.decode())
    for match in _BY_TEXT.finditer(source):
        yield _package(match[1].decode())


def _package(module: str) -> str:
    """``benchmark.probe``; of extras, each of which is a package, ``benchmark.extras.NAME``."""
    parts = module.split(".")
    return ".".join(parts[: 3 if parts[1] == "extras" else 2])


def files_of_package(root: Path, package: str) -> dict[str, bytes]:
    """Content by path below ``root``, in order: sources, stubs and tables, without what Python and numba compiled.

    Raises:
        RuntimeError: there is none.
    """
    folder, module = _folder(root, package), _module(root, package)
    paths = [module] if module.is_file() else []
    for inner, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        paths += [Path(inner, name) for name in names]
    if not paths:
        raise RuntimeError(f"{package}: has no files below {root}, so the code that makes a score is not known")
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(paths)}


def _folder(root: Path, package: str) -> Path:
    return root.joinpath(*package.split("."))


def _module(root: Path, package: str) -> Path:
    return _folder(root, package).with_suffix(".py")
