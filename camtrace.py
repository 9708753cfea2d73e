"""What do visual encoders know about the camera and the codec? The one name to import, and the command ``camtrace``.

    import camtrace
    results = camtrace.score("timm/vit_base_patch16_siglip_256.webli", data="folder:photos", tasks="probe/*")

Importing it costs nothing: each name is fetched when it is first used. The code is in ``benchmark`` and ``builders``.
"""

from __future__ import annotations

import importlib
import os
import sys
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what the names below are, for type checkers and editors
    from benchmark.answers import closed_questions
    from benchmark.api import Comparison, NoSuchScore, Results, TraceCallback, compare, load_results, score
    from benchmark.audit import Audit, audit
    from benchmark.compare import Gate
    from benchmark.encoders import Encoder, EncoderInfo, list_encoders, load_encoder
    from benchmark.erasing import Eraser, FitSet, fit_eraser, load_eraser
    from benchmark.extras.diff import Diff as Diff
    from benchmark.extras.diff import diff as diff
    from benchmark.extras.items import ItemComparison as ItemComparison
    from benchmark.extras.items import compare_items as compare_items
    from benchmark.results import Score
    from builders.data_specs import open_photos
    from builders.errors import CamtraceError, DataError, DiskError, EncoderError, PhotoError, RemoteError, UsageError
    from builders.photos import PhotoSet
    from builders.pixels import CenterMask
    from builders.processed.with_processing import with_processing

    __version__: str

_WHERE = {
    "Audit": "benchmark.audit",
    "CamtraceError": "builders.errors",
    "CenterMask": "builders",
    "Comparison": "benchmark.api",
    "DataError": "builders.errors",
    "DiskError": "builders.errors",
    "Encoder": "benchmark.encoders",
    "EncoderError": "builders.errors",
    "EncoderInfo": "benchmark.encoders",
    "Eraser": "benchmark.erasing",
    "FitSet": "benchmark.erasing",
    "Gate": "benchmark.compare",
    "NoSuchScore": "benchmark.api",
    "PhotoError": "builders.errors",
    "PhotoSet": "builders.photos",
    "RemoteError": "builders.errors",
    "Results": "benchmark.api",
    "Score": "benchmark.results",
    "TraceCallback": "benchmark.api",
    "UsageError": "builders.errors",
    "audit": "benchmark.audit",
    "closed_questions": "benchmark.answers",
    "compare": "benchmark.api",
    "fit_eraser": "benchmark.erasing",
    "list_encoders": "benchmark.encoders",
    "load_encoder": "benchmark.encoders",
    "load_eraser": "benchmark.erasing",
    "load_results": "benchmark.api",
    "open_photos": "builders.data_specs",
    "score": "benchmark.api",
    "with_processing": "builders",
}
"""Where each name comes from. Folders of ``benchmark/extras`` add further names."""

__all__ = [
    "Audit",
    "CamtraceError",
    "CenterMask",
    "Comparison",
    "DataError",
    "DiskError",
    "Encoder",
    "EncoderError",
    "EncoderInfo",
    "Eraser",
    "FitSet",
    "Gate",
    "NoSuchScore",
    "PhotoError",
    "PhotoSet",
    "RemoteError",
    "Results",
    "Score",
    "TraceCallback",
    "UsageError",
    "__version__",
    "audit",
    "closed_questions",
    "compare",
    "fit_eraser",
    "list_encoders",
    "load_encoder",
    "load_eraser",
    "load_results",
    "open_photos",
    "score",
    "with_processing",
]


_PACKAGES = ("benchmark", "builders")
"""Where the code is. A script's own folder may have modules of these names, which come first on ``sys.path``."""


def main() -> int:
    """The command ``camtrace``: the exit status."""
    _refuse_others()
    from benchmark.__main__ import camtrace

    return camtrace()


def script() -> int:
    """The installed command ``camtrace``, which ends with its process."""
    _refuse_others()
    from benchmark.__main__ import script

    return script()


def _put_first() -> None:
    """Put a folder that has the names of our packages, and nothing else, before modules of the same names.

    ``sys.path`` changes only where there is such a module. Workers that are spawned inherit ``sys.path``.
    """
    names = os.path.join(_ROOT, "builders", "import_names")
    for name in _PACKAGES:
        spec = None if name in sys.modules or names in sys.path else PathFinder.find_spec(name)
        if spec is not None and not _is_own(name, spec.origin):
            sys.path.insert(0, names)


def _refuse_others() -> None:
    """Raise ``ImportError`` if another module of the name of one of our packages is imported."""
    for name in _PACKAGES:
        module = sys.modules.get(name)
        if module is not None and not _is_own(name, getattr(module, "__file__", None)):
            where = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), "a namespace")
            raise ImportError(
                f"camtrace has a package {name!r}, and another module of that name is imported already ({where}): "
                "use camtrace in a program that does not import it, or rename it"
            )


def _is_own(name: str, file: str | None) -> bool:
    return file is not None and os.path.realpath(file) == os.path.join(_ROOT, name, "__init__.py")


_ROOT = os.path.dirname(os.path.realpath(__file__))
_put_first()


def __getattr__(name: str) -> Any:
    if name.startswith("__") and name != "__version__":
        raise AttributeError(f"module 'camtrace' has no attribute {name!r}")
    _refuse_others()
    if name == "__version__":
        from builders.cli import version

        value: Any = version()
    else:
        where = _WHERE.get(name) or _added().get(name)
        if where is None:
            raise AttributeError(f"module 'camtrace' has no attribute {name!r}")
        value = getattr(importlib.import_module(where), name)
    globals()[name] = value
    return value


def _added() -> dict[str, str]:
    """Where each name of an extra comes from."""
    from builders.plugins import extras

    return extras("benchmark", "NAMES")


def __dir__() -> list[str]:
    return sorted({*__all__, *_added(), *globals()})


if __name__ == "__main__":
    raise SystemExit(main())
