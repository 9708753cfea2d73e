"""What do visual encoders know about the camera and the codec? The one name to import, and the command ``camtrace``.

    import camtrace
    results = camtrace.score("timm/vit_base_patch16_siglip_256.webli", data="folder:photos", tasks="probe/*")

Importing it costs nothing: each name is fetched when it is first used. The code is in ``benchmark`` and ``builders``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what the names below are, for type checkers and editors
    from benchmark.api import Comparison, Results, TraceCallback, compare, load_results, score
    from benchmark.audit import Audit, audit
    from benchmark.encoders import Encoder, list_encoders, load_encoder
    from benchmark.erasing import Eraser, fit_eraser, load_eraser
    from benchmark.results import Score
    from builders.data_specs import open_photos
    from builders.pixels import CenterMask
    from builders.processed.with_processing import with_processing

    __version__: str

_WHERE = {
    "Audit": "benchmark.audit",
    "CenterMask": "builders",
    "Comparison": "benchmark.api",
    "Encoder": "benchmark.encoders",
    "Eraser": "benchmark.erasing",
    "Results": "benchmark.api",
    "Score": "benchmark.results",
    "TraceCallback": "benchmark.api",
    "audit": "benchmark.audit",
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
"""Where each name comes from."""

__all__ = [
    "Audit",
    "CenterMask",
    "Comparison",
    "Encoder",
    "Eraser",
    "Results",
    "Score",
    "TraceCallback",
    "__version__",
    "audit",
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


def main() -> int:
    """The command ``camtrace``: the exit status."""
    from benchmark.__main__ import camtrace

    return camtrace()


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from builders.cli import version

        value: Any = version()
    elif name in _WHERE:
        import importlib

        value = getattr(importlib.import_module(_WHERE[name]), name)
    else:
        raise AttributeError(f"module 'camtrace' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *globals()})


if __name__ == "__main__":
    raise SystemExit(main())
