from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import timm
import torch
import transformers as tf

from benchmark.encoders.loaders import hub as hub_loader
from benchmark.encoders.loaders.hub import library_of, load_folder, load_hub, wanted_files
from benchmark.encoders.registry import LoadRequest
from builders.errors import EncoderError, UsageError
from tests.support.processes import run_python

VIT = {
    "hidden_size": 32,
    "intermediate_size": 37,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 8,
}
CLIENT = """
import json, sys
from benchmark.encoders import load_encoder
from builders.errors import CamtraceError
for line in sys.argv[1:]:
    try:
        info = load_encoder(**json.loads(line), device="cpu").info
        print(json.dumps([info.id, info.library, info.revision, info.weights_sha256]))
    except CamtraceError as error:
        print(json.dumps([type(error).__name__, str(error)]))
"""


IMPATIENT = """
from builders.untrusted import Pace, hub_client as hub
hub.HUB_PACE = Pace(headers_s=0.5, grace_s=0.5, least_bytes_per_s=1000.0)
"""


def _results(environment: dict[str, str], *requests: dict[str, Any], before: str = "") -> list[list[str]]:
    """Result of ``load_encoder`` for each request, in another process."""
    run = run_python("-c", before + CLIENT, *map(json.dumps, requests), env=environment)
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def _dinov2_files(folder: Path, seed: int) -> dict[str, bytes]:
    torch.manual_seed(seed)
    tf.Dinov2Model(tf.Dinov2Config(**VIT)).save_pretrained(folder)
    processor = tf.BitImageProcessor(size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32})
    processor.save_pretrained(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_repo__pinned_fetched_once_and_only_what_is_needed(hub: Any, tmp_path: Path) -> None:
    files = _dinov2_files(tmp_path / "a", 0)
    unneeded = {"pytorch_model.bin": b"x", "tf_model.h5": b"x", "onnx/model.onnx": b"x", "evil.py": b"raise SystemExit"}
    repo = hub.create("someone/tiny", "model")
    first = repo.commit({**files, **unneeded}, "one")
    second = repo.commit({**_dinov2_files(tmp_path / "b", 1), **unneeded}, "two")
    environment = hub.environment(tmp_path / "home")

    newest, pinned, address, option, both = _results(
        environment,
        {"spec": "someone/tiny"},
        {"spec": f"someone/tiny@{first}"},
        {"spec": f"https://huggingface.co/someone/tiny/tree/{first}"},
        {"spec": "hf-hub:someone/tiny", "revision": first},
        {"spec": f"someone/tiny@{first}", "revision": second},
    )
    assert newest[:3] == ["someone/tiny", "transformers", second]
    assert pinned[:3] == [f"someone/tiny@{first}", "transformers", first]
    assert option == address == pinned
    assert newest[3] != pinned[3]
    assert both[0] == "UsageError"
    assert hub.count("GET", r"resolve/.*model\.safetensors") == 2
    assert hub.count("GET", r"resolve/.*(\.bin|\.h5|\.onnx|\.py)") == 0

    offline = {**environment, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "1"}
    again, absent = _results(offline, {"spec": f"someone/tiny@{first}"}, {"spec": "someone/else"})
    assert again == pinned
    assert absent[0] == "EncoderError"
    assert "cannot be reached" in absent[1]


def test_repo__missing_revision_gated_and_unknown_contents(hub: Any, tmp_path: Path) -> None:
    hub.create("someone/data", "model").commit({"README.md": b"---\nlibrary_name: keras\n---\n"}, "card")
    hub.fail("GET", "api/models/someone/gated", status=403, headers={"X-Error-Code": "GatedRepo"})
    hub.fail("GET", "api/models/someone/broken", times=99, status=500)
    other = {"config.json": b'{"model_type": "vit"}', "flax_model.msgpack": b"x", "tf_model.h5": b"x"}
    hub.create("someone/flax", "model").commit(other, "weights")
    results = _results(
        hub.environment(tmp_path / "home"),
        {"spec": "someone/flax"},
        {"spec": "openai/clip-vit-base-patch61"},
        {"spec": "someone/data@nothing"},
        {"spec": "someone/gated"},
        {"spec": "someone/data"},
        {"spec": "someone/broken"},
    )
    flax, missing, revision, gated, keras, broken = results
    assert flax[0] == "UsageError"
    assert flax[1].startswith("someone/flax holds weights of Flax; run with transformers 4: ")
    assert missing[0] == "UsageError"
    assert "did you mean 'openai/clip-vit-base-patch16'" in missing[1]
    assert revision == ["UsageError", "someone/data@nothing: the repo has no such revision"]
    assert gated[0] == "EncoderError"
    assert "hf auth login" in gated[1]
    assert keras == [
        "UsageError",
        "someone/data holds no checkpoint for transformers, open_clip or timm (its card says keras)",
    ]
    assert broken[0] == "EncoderError"
    assert all("\n" not in result[1] for result in results)


@pytest.mark.slow
def test_repo__a_hub_that_sends_a_byte_now_and_then_is_abandoned(hub: Any, tmp_path: Path) -> None:
    hub.create("someone/tiny", "model").commit(_dinov2_files(tmp_path / "a", 0), "one")
    for path, how in (("safetensors", "slow body"), ("config.json", "slow headers")):
        hub.fail("GET", f"someone/tiny/resolve/.*{path}", hostile=how)
    hub.fail("GET", "api/models/someone/slow", hostile="slow headers")
    one, api = _results(
        hub.environment(tmp_path / "home"),
        {"spec": "someone/tiny"},
        {"spec": "someone/slow"},
        before=IMPATIENT,
    )
    assert one[0] == api[0] == "EncoderError"
    for result in (one, api):
        assert "too slow: " in result[1]
        assert result[1].startswith("someone/")


def test_repo__a_cached_snapshot_that_cannot_be_listed_is_an_encoder_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Hub cannot be reached; the client's cache names a folder that is none."""

    def unreachable(*_: Any, **__: Any) -> Any:
        raise ConnectionError

    snapshot = tmp_path / "snapshot"
    snapshot.write_text("")
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unreachable)
    monkeypatch.setattr(hub_loader, "_cached", lambda repo, revision: snapshot)
    with pytest.raises(EncoderError, match="org/name"):
        load_hub(LoadRequest("org/name", device="cpu"))


@pytest.mark.parametrize(
    ("name", "hostile", "why"),
    [
        ("config.json", "fifo", "config.json: not a regular file"),
        ("config.json", "/dev/zero", "config.json: not a regular file"),
        ("config.json", "[" * 100_000, "is not readable JSON"),
        ("config.json", "", "is not readable JSON"),
        ("model.safetensors", "fifo", "model.safetensors: not a regular file"),
        ("model.safetensors", "/dev/zero", "model.safetensors: not a regular file"),
        ("preprocessor_config.json", "fifo", "preprocessor_config.json: not a regular file"),
        ("README.md", "fifo", ""),
    ],
)
def test_folder__pipes_devices_and_nonsense_are_refused_by_name(
    tmp_path: Path, name: str, hostile: str, why: str
) -> None:
    _dinov2_files(tmp_path / "a", 0)
    file = tmp_path / "a" / name
    file.unlink(missing_ok=True)
    if hostile == "fifo":
        os.mkfifo(file)
    elif hostile == "/dev/zero":
        file.symlink_to(hostile)
    else:
        file.write_text(hostile)
    request = LoadRequest(f"local-dir:{tmp_path / 'a'}", device="cpu")
    if why:
        with pytest.raises(EncoderError, match=why):
            load_folder(request)
    else:
        assert load_folder(request).info.library == "transformers"


def test_repo__of_timm_is_read_with_timm(hub: Any, tmp_path: Path) -> None:
    timm.models.save_for_hf(timm.create_model("test_resnet", num_classes=3), tmp_path / "model")
    files = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    files |= {"open_clip_config.json": b"{}", "open_clip_model.safetensors": b"x"}
    commit = hub.create("timm/tiny.own", "model").commit(files, "weights")
    (result,) = _results(hub.environment(tmp_path / "home"), {"spec": "timm/tiny.own"})
    assert result[:3] == ["timm/tiny.own", "timm", commit]
    assert hub.count("GET", "open_clip_model") == 0


@pytest.mark.parametrize(
    ("files", "name", "card", "library"),
    [
        ({"config.json": {"model_type": "clip"}}, "a/b", None, "transformers"),
        ({"config.json": {"architecture": "resnet18"}}, "a/b", None, "timm"),
        ({"config.json": {"model_type": "timm_wrapper"}}, "a/b", "transformers", "timm"),
        ({"open_clip_config.json": {}}, "a/b", None, "open_clip"),
        ({"config.json": {"model_type": "clip"}, "open_clip_config.json": {}}, "laion/b", None, "open_clip"),
        ({"config.json": {"model_type": "clip"}, "open_clip_config.json": {}}, "a/b", "transformers", "transformers"),
        ({"config.json": {"architecture": "vit"}, "open_clip_config.json": {}}, "timm/b", "open_clip", "timm"),
        ({"config.json": {"model_type": "vit"}}, "a/b", "keras", "transformers"),
    ],
)
def test_library_of__by_the_repos_own_metadata(
    files: dict[str, Any], name: str, card: str | None, library: str, tmp_path: Path
) -> None:
    for file, content in files.items():
        (tmp_path / file).write_text(json.dumps(content))
    assert library_of(tmp_path, name, card) == library


def test_library_of__nothing_known(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no checkpoint"):
        library_of(tmp_path, "a/b", None)


def test_wanted_files__shards_and_code_only_by_flag() -> None:
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]
    names = ["config.json", *shards, "model.fp16.safetensors", "own.py", "training_args.bin"]
    assert wanted_files(names) == sorted(["config.json", *shards])
    assert wanted_files(names, trust_remote_code=True) == sorted(["config.json", "own.py", *shards])


def test_wanted_files__either_library_of_a_repo_with_two_formats() -> None:
    names = ["config.json", "model.safetensors", "open_clip_config.json", "open_clip_pytorch_model.bin"]
    assert "open_clip_pytorch_model.bin" in wanted_files(names)
    assert wanted_files(names, library_name="transformers") == names[:3]
    assert wanted_files(names, repo="timm/x", library_name="open_clip") == names[:3]
