"""Are the scores of an honest encoder those of a run alone, whatever the modules beside it in a sweep do to themselves?

    python -m scripts.checks.odd_modules --photos DIR [--only WORD] [--together 8]

Each case is a module of a user: an ordinary encoder, and what it does when it is imported or called. The honest
encoders are another module, and the control of JPEG statistics. Prints the number of cases beside which the honest
scores are equal, and the cases beside which they are not.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

AT_IMPORT: Mapping[str, str] = {
    "truncated": "from PIL import ImageFile; ImageFile.LOAD_TRUNCATED_IMAGES = True",
    "few pixels": "from PIL import Image; Image.MAX_IMAGE_PIXELS = 10",
    "no limit of pixels": "from PIL import Image; Image.MAX_IMAGE_PIXELS = None",
    "resize": "from PIL import Image; Image.Image.resize = lambda self, *a, **k: self.copy()",
    "convert": "from PIL import Image; c = Image.Image.convert; Image.Image.convert = lambda s, *a, **k: c(s, 'L')",
    "image save": "from PIL import Image; Image.Image.save = lambda *a, **k: None",
    "image open": "from PIL import Image; Image.open = lambda *a, **k: Image.new('RGB', (9, 9))",
    "fromarray": "from PIL import Image; Image.fromarray = lambda *a, **k: Image.new('RGB', (9, 9))",
    "exif transpose": "from PIL import ImageOps; ImageOps.exif_transpose = lambda image, **k: image.rotate(90)",
    "formats": "from PIL import Image; Image.init(); Image.OPEN.clear(); Image.ID.clear()",
    "argsort": "import numpy as np; np.argsort = lambda a, *r, **k: np.zeros(np.shape(a), int)",
    "sort": "import numpy as np; np.sort = lambda a, *r, **k: a",
    "mean": "import numpy as np; np.mean = lambda *a, **k: 0.5",
    "where": "import numpy as np; np.where = lambda *a, **k: np.array([0])",
    "unique": "import numpy as np; np.unique = lambda *a, **k: np.array([0])",
    "linalg": "import numpy as np; np.linalg.norm = lambda *a, **k: 1.0",
    "default_rng": "import numpy as np; g = np.random.default_rng; np.random.default_rng = lambda *a: g(0)",
    "NumPy errors": "import numpy as np; np.seterr(all='raise')",
    "print options": "import numpy as np; np.set_printoptions(precision=1, suppress=True)",
    "NumPy seed": "import numpy as np; np.random.seed(7)",
    "float32": "import numpy as np; np.float32 = np.float16",
    "meta": "import torch; torch.set_default_device('meta')",
    "float64": "import torch; torch.set_default_dtype(torch.float64)",
    "float16": "import torch; torch.set_default_dtype(torch.float16)",
    "one thread": "import torch; torch.set_num_threads(1)",
    "64 threads": "import torch; torch.set_num_threads(64)",
    "torch seed": "import torch; torch.manual_seed(3)",
    "no gradients": "import torch; torch.set_grad_enabled(False)",
    "deterministic": "import torch; torch.use_deterministic_algorithms(True)",
    "low precision": "import torch; torch.set_float32_matmul_precision('medium')",
    "flush": "import torch; torch.set_flush_denormal(True)",
    "torch cat": "import torch; torch.cat = lambda *a, **k: torch.zeros(1)",
    "topk": "import torch; torch.topk = lambda *a, **k: None",
    "torch load": "import torch; torch.load = lambda *a, **k: {}",
    "isfinite": "import torch; torch.isfinite = lambda x: torch.zeros(1, dtype=torch.bool)",
    "sharing": "import torch.multiprocessing as m; m.set_sharing_strategy('file_system')",
    "spawn": "import multiprocessing as m; m.set_start_method('spawn', force=True)",
    "replace": "import os; os.replace = lambda *a, **k: None",
    "fsync": "import os; os.fsync = lambda *a: (_ for _ in ()).throw(OSError('no'))",
    "listdir": "import os; os.listdir = lambda *a: []",
    "scandir": "import os; os.scandir = lambda *a: iter(())",
    "stat": "import os; os.stat = lambda *a, **k: (_ for _ in ()).throw(OSError('no'))",
    "environment": "import os; os.environ.clear()",
    "home": "import os; os.environ['HOME'] = '/nowhere'; os.environ['CAMTRACE_CACHE'] = '/nowhere'",
    "folder": "import os; os.chdir('/')",
    "umask": "import os; os.umask(0o777)",
    "nice": "import os; os.nice(5)",
    "descriptors": "import os; os.closerange(3, 256)",
    "outputs": "import sys, io; sys.stdout = io.StringIO(); sys.stderr = io.StringIO()",
    "closed outputs": "import os; os.close(1); os.close(2)",
    "limit of files": "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9))",
    "limit of a file": "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))",
    "signals": "import signal; [signal.signal(s, signal.SIG_IGN) for s in (signal.SIGTERM, signal.SIGINT)]",
    "child signal": "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
    "alarm": "import signal; signal.setitimer(signal.ITIMER_REAL, 0.5)",
    "kills its group": "import os, signal; os.killpg(0, signal.SIGTERM)",
    "import hook": "import sys; sys.meta_path.insert(0, type('F', (), {'find_spec': staticmethod(lambda *a: 1 / 0)}))",
    "path": "import sys; sys.path.clear()",
    "modules": "import sys; [sys.modules.pop(n) for n in list(sys.modules) if n.startswith(('benchmark', 'builders'))]",
    "recursion": "import sys; sys.setrecursionlimit(60)",
    "trace": "import sys; sys.settrace(lambda *a: None); sys.setprofile(lambda *a: None)",
    "collection": "import gc; gc.disable(); gc.set_threshold(1)",
    "json": "import json; json.dumps = lambda *a, **k: '{}'; json.loads = lambda *a, **k: {}",
    "builtins": "import builtins; builtins.sorted = lambda *a, **k: []; builtins.sum = lambda *a, **k: 0",
    "warnings": "import warnings; warnings.simplefilter('error')",
    "locale": "import locale; locale.setlocale(locale.LC_ALL, 'C'); import decimal; decimal.getcontext().prec = 2",
    "threads": "import threading, time; [threading.Thread(target=time.sleep, args=(99,)).start() for _ in '123']",
    "exit hook": "import atexit, os; atexit.register(lambda: os._exit(9))",
    "default loader": "import pickle; pickle.dumps = pickle.loads = lambda *a, **k: None",
    "time": "import time; time.time = time.monotonic = time.perf_counter = lambda: 0.0",
    "random seed": "import random; random.seed(1); random.random = lambda: 0.5",
    "hash": "import hashlib; hashlib.sha256 = hashlib.md5",
}
"""What a module does when it is imported."""

_MODULE = """
{code}
import numpy as np
def encode(image):
    pixels = np.asarray(image.resize((32, 32)), dtype=np.float32)
    return pixels.reshape(4, 8, 4, 8, 3).mean((1, 3)).ravel()
"""

_HONEST = _MODULE.format(code="from PIL import Image")
HONEST = ("honest:encode", "control:jpeg-statistics")


def scores(photos: Path, folder: Path, odd: Sequence[str], work: Path) -> tuple[dict[str, Any], int]:
    """Scores of the honest encoders in a sweep with odd modules, by encoder and task; and the exit status."""
    models = [part for model in (*odd, *HONEST) for part in ("--model", model)]
    command = [sys.executable, "-m", "benchmark", "sweep", *models, "--data", f"folder:{photos}", "--tasks", "knn/jpeg"]
    command += ["--together", str(len(odd) + len(HONEST)), "--output", str(folder)]
    project = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(project), "CAMTRACE_CACHE": str(folder / "cache")}
    done = subprocess.run(
        command, cwd=work, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=900
    )
    found: dict[str, Any] = {}
    for path in folder.glob("*/*/result.json"):
        result = json.loads(path.read_text(encoding="utf-8"))
        if result["encoder"]["id"] in HONEST:
            found[result["encoder"]["id"]] = {"scores": result["scores"], "failures": result["failures"]}
    return _without_times(found), done.returncode


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_times(inner) for key, inner in value.items() if "second" not in key}
    return [_without_times(inner) for inner in value] if isinstance(value, list) else value


def main() -> int:
    """Compare; the exit status is 1 if an honest score differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--together", type=int, default=8)
    args = parser.parse_args()
    cases = {name: code for name, code in AT_IMPORT.items() if args.only in name}
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        (work / "honest.py").write_text(_HONEST, encoding="utf-8")
        modules = {}
        for number, (name, code) in enumerate(cases.items()):
            (work / f"odd_{number}.py").write_text(_MODULE.format(code=code), encoding="utf-8")
            modules[name] = f"odd_{number}:encode"
        alone, _ = scores(args.photos.absolute(), work / "alone", [], work)
        assert set(alone) == set(HONEST), "the honest encoders have no scores alone"
        names, equal, differing = list(cases), 0, []
        for start in range(0, len(names), args.together):
            group = names[start : start + args.together]
            groups = [group]
            beside, _ = scores(args.photos.absolute(), work / f"out{start}", [modules[n] for n in group], work)
            if beside != alone:  # which of them?
                groups = [[name] for name in group]
            for number, part in enumerate(groups):
                if len(groups) > 1:
                    folder = work / f"out{start}-{number}"
                    beside, _ = scores(args.photos.absolute(), folder, [modules[n] for n in part], work)
                equal += len(part) if beside == alone else 0
                differing += [] if beside == alone else part
            print(f"{equal} of {start + len(group)} equal", flush=True)
    print(
        f"honest scores equal beside {equal} of {len(names)} odd modules; not beside: {', '.join(differing) or 'none'}"
    )
    return int(bool(differing))


if __name__ == "__main__":
    sys.exit(main())
