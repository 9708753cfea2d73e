"""No telemetry of network libraries: nothing is sent, and no file is written to the user's home."""

import json
import os

import pytest

from tests.support.processes import run_python


def test_openvino__neither_its_import_nor_a_conversion_sends_anything(tmp_path):
    """By itself ``import openvino`` sends an event from a process that it forks, and leaves a number in ``~/intel``."""
    code = (
        "import concurrent.futures.thread, json, os, pathlib, sys, urllib.request\n"
        "forked = []\n"
        "os.register_at_fork(before=lambda: forked.append(1))\n"
        "urllib.request.urlopen = lambda *_, **__: None\n"  # what a failing test would send
        "import torch, benchmark.encoders.runtime.openvino as n\n"
        "from benchmark.encoders.network import Embedder\n"
        "from benchmark.encoders.placement import Placement\n"
        "e = Embedder('e', torch.nn.Flatten(), lambda m, x: m(x) + 1, None, Placement('cpu', 'float32'))\n"
        "shape = str(n._traced(e, torch.zeros(2, 3, 4, 4)).outputs[0].partial_shape)\n"
        "concurrent.futures.thread._python_exit()\n"  # whatever threads have begun is done
        "left = os.listdir(pathlib.Path.home())\n"
        "imported = [name for name in sys.modules if name.startswith('openvino_telemetry')]\n"
        "import openvino_telemetry\n"  # other code can import it
        "print(json.dumps([shape, left, imported, forked]))\n"
    )
    # in continuous integration it would be silent by itself
    elsewhere = {name: word for name, word in os.environ.items() if name not in ("CI", "TF_BUILD", "JENKINS_URL")}
    done = run_python("-c", code, env={**elsewhere, "HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["[?,?]", [], [], []]


def test_openvino__stays_as_other_code_has_imported_it():
    code = (
        "import sys, types\n"
        "users = sys.modules['openvino'] = types.ModuleType('openvino')\n"
        "users.__version__ = '1'\n"
        "telemetry = sys.modules['openvino_telemetry'] = types.ModuleType('openvino_telemetry')\n"
        "import benchmark.encoders.runtime.openvino as runtime\n"
        "assert runtime.openvino is users and sys.modules['openvino_telemetry'] is telemetry\n"
    )
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr


def test_onnxruntime__its_import_sends_nothing(tmp_path):
    """By itself it leaves a number of the user and a data base of events in the user's cache."""
    elsewhere = {name: word for name, word in os.environ.items() if name != "XDG_CACHE_HOME"}
    code = "import os, pathlib, benchmark.encoders.runtime.onnxruntime\nprint(os.listdir(pathlib.Path.home()))\n"
    done = run_python("-c", code, env={**elsewhere, "HOME": str(tmp_path)})
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


@pytest.mark.parametrize(("users", "within", "after"), [(None, "1", "None"), ("0", "0", "0")])
def test_onnxruntime__the_users_setting_is_respected(users, within, after, tmp_path):
    (tmp_path / "onnxruntime.py").write_text(
        "import os\n__version__ = '1'\nprint(os.environ['ORT_DISABLE_TELEMETRY'])\n"
    )
    code = (
        f"import os, sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport benchmark.encoders.runtime.onnxruntime\n"
        "print(os.environ.get('ORT_DISABLE_TELEMETRY'))\n"
    )
    unsaid = {name: word for name, word in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    done = run_python("-c", code, env={**unsaid, "ORT_DISABLE_TELEMETRY": users} if users else unsaid)
    assert (done.returncode, done.stdout.split()) == (0, [within, after]), done.stderr
