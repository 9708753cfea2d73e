"""``import benchmark`` is camtrace's package where this folder comes first on ``sys.path``: see camtrace.py."""

import importlib.util
import sys
from pathlib import Path

_folder = Path(__file__).resolve().parents[2] / __name__
_spec = importlib.util.spec_from_file_location(
    __name__, _folder / "__init__.py", submodule_search_locations=[str(_folder)]
)
assert _spec is not None
assert _spec.loader is not None
_package = importlib.util.module_from_spec(_spec)
sys.modules[__name__] = _package
_spec.loader.exec_module(_package)
