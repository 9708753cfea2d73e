"""Jobs of the Hugging Face Hub: what would be submitted is run, word for word, as a process of this machine."""

import uuid
from types import SimpleNamespace

import huggingface_hub
import pytest

from tests.benchmark.cluster.conftest import tree
from tests.benchmark.cluster.test_builds import BUILD
from tests.support.processes import run_python

pytestmark = pytest.mark.usefixtures("unpainted")

STORE = '''
"""A store that is no disk to datatrove or camtrace, and that processes share: a folder behind another protocol."""
import fsspec
import pyarrow.fs
from fsspec.implementations.arrow import ArrowFSWrapper

class Shared(ArrowFSWrapper):
    protocol = "shared"
    def __init__(self, **options):
        super().__init__(pyarrow.fs.LocalFileSystem(), **options)
    def invalidate_cache(self, path=None):
        pass

fsspec.register_implementation("shared", Shared, clobber=True)
'''


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Its address, in this process and in every further one."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(STORE)
    exec(compile(STORE, "sitecustomize.py", "exec"), {"__name__": "sitecustomize"})
    return f"shared://{tmp_path}/bucket"


@pytest.fixture
def submitted(elsewhere, tmp_path, monkeypatch):
    """What was given to the Hub as jobs: each runs here, as a process, before the call comes back."""
    result = []

    def run_uv_job(script, *, script_args, dependencies, env, secrets, flavor, timeout, **more):
        environment = {**elsewhere, **env, "PYTHONPATH": f"{tmp_path}/site:{elsewhere['PYTHONPATH']}"}
        done = run_python(script, *script_args, env=environment, cwd=tmp_path, forking=True)
        job = SimpleNamespace(id=uuid.uuid4().hex, url="here", code=done.returncode)
        result.append((job, dependencies, flavor, timeout, secrets, done.stderr, more["labels"]))
        return job

    def inspect_job(*, job_id, **_):
        code = next(one[0].code for one in result if one[0].id == job_id)
        return SimpleNamespace(status=SimpleNamespace(stage="ERROR" if code else "COMPLETED"))

    monkeypatch.setattr(huggingface_hub, "run_uv_job", run_uv_job)
    monkeypatch.setattr(huggingface_hub, "inspect_job", inspect_job)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("CAMTRACE_POLL_S", "0.1")
    return result


@pytest.mark.slow
def test_jobs__what_would_be_submitted_does_the_ranks(store, submitted, run, tmp_path):
    assert run(*BUILD, "--output", tmp_path / "plain", "--workers", 1)[0] == 0
    output = f"{store}/out"
    assert run("plan", *BUILD, "--output", output, "--ranks", 3)[0] == 0
    plan = f"{output}.plan"
    words = ("--engine", "jobs", "--tasks", 2, "--flavor", "t4-small", "--time", "2:00:00", "--package", "camtrace==9")
    status, printed, error = run("work", plan, *words)
    assert status == 0, (error, [one[5] for one in submitted])
    assert "ranks" in printed
    assert [one[1:4] for one in submitted] == [(["camtrace==9"], "t4-small", 7200)] * 2
    written = b"".join(tree(tmp_path / "bucket").values())
    assert b"hf_secret" not in written
    assert "hf_secret" not in printed + error
    assert run("finish", plan)[0] == 0
    result = tree(tmp_path / "bucket" / "out")
    assert result == {name: data for name, data in tree(tmp_path / "plain").items() if name != ".build/lock"}


def test_jobs__a_plan_on_a_disk_is_refused(run, tmp_path, monkeypatch):
    assert run("plan", *BUILD, "--output", tmp_path / "out", "--ranks", 2)[0] == 0
    assert run("work", tmp_path / "out.plan", "--engine", "jobs")[0] == 2
    output = f"memory://{tmp_path.name}/out"
    assert run("plan", *BUILD, "--output", output, "--ranks", 2)[0] == 0
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    assert "hf auth login" in run("work", f"{output}.plan", "--engine", "jobs")[2]
