from __future__ import annotations

import contextlib
import csv
import inspect
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.encoders import (
    MODERN,
    STUDY,
    Embedder,
    EncoderInfo,
    installed_lists,
    list_encoders,
    load_encoder,
    move_to_host,
)
from benchmark.encoders.encoder import GROUPS, LIBRARIES
from benchmark.encoders.network import Network, call_module, network_encoder
from benchmark.encoders.placement import Placement, tf32_only_if_requested
from benchmark.encoders.registry import NAMED
from benchmark.encoders.suggestions import OTHER_NAMES, nearest_name
from builders.errors import EncoderError, UsageError

pytestmark = pytest.mark.usefixtures("short_projection")


def test_import_and_listing__need_no_model_library() -> None:
    code = (
        "import sys, benchmark.encoders as e; e.list_encoders();"
        "print([m for m in ('torch', 'transformers', 'timm', 'open_clip', 'torchvision') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_list__bundled_and_controls_the_study_and_the_years_after() -> None:
    rows = list_encoders()
    specs = [row.spec for row in rows]
    assert len(set(specs)) == len(specs)
    assert set(specs) == {*NAMED, *(row.spec for row in (*STUDY, *MODERN))}
    assert specs[0] == "bundled:efficientnet-lite0"
    assert sum(row.published_name is not None for row in rows) == 47
    for row in rows:
        assert row.group in GROUPS
        assert row.library in LIBRARIES


def test_study__47_encoders_of_three_groups() -> None:
    assert len(STUDY) == len({row.published_name for row in STUDY}) == 47
    groups = [row.group for row in STUDY]
    assert [groups.count(group) for group in ("CVL", "SUP", "SSL")] == [24, 11, 12]


def test_study__names_are_those_of_the_published_table() -> None:
    """Only where the table is at hand: it is not part of this project's sources."""
    table = next((p for p in Path(__file__).parents[3].glob("**/iccv2025_per_encoder.csv")), None)
    if table is None:
        pytest.skip("the published table is not here")
    with table.open(encoding="utf-8", newline="") as file:
        published = [(row["encoder"], row["group"]) for row in csv.DictReader(file)]
    assert [(row.published_name, row.group) for row in STUDY] == published


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("bundled:efficientnet", "did you mean 'bundled:efficientnet-lite"),
        ("bundeld:imgsim", "did you mean 'bundled:imgsim'"),
        ("contrl:jpeg-statistics", "did you mean 'control:jpeg-statistics'"),
        ("clip-vit-base-patch16", "did you mean 'openai/clip-vit-base-patch16'"),
        ("???", "give a name from 'list encoders'"),
        ("", "give a name from 'list encoders'"),
        ("local-dir:nowhere", "no such folder"),
        ("efficientnet-lite0", "did you mean 'bundled:efficientnet-lite0'"),
        ("dinov2_vits14", "did you mean 'facebook/dinov2-small'"),
        ("resnet18", "did you mean 'timm:resnet18' or 'torchvision:resnet18'"),
        ("timm:resnet81", "did you mean 'timm:resnet18'"),
        ("timm:nothing_like_this", "timm.list_pretrained.. lists them"),
        ("embedings:a.parquet", "did you mean 'embeddings:a.parquet'"),
    ],
)
def test_unknown_name__one_sentence_with_the_nearest(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?")) as caught:
        load_encoder(spec)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spec", ["lab/does-not-exist", "resnet51x", "facebook/dino-vits14", "openai/clip-vit-huge"])
def test_suggestion__names_the_same_kind_of_model_or_none(spec: str) -> None:
    assert nearest_name(spec, [row.spec for row in list_encoders()]) is None


def test_suggestion__known_by_another_name_is_in_a_list() -> None:
    rows, lists = {row.spec for row in list_encoders()}, installed_lists()
    others = {spec for spec in OTHER_NAMES.values() if not spec.startswith("facebook/dinov2-with-registers-")}
    assert all(spec in rows or lists.confirming(spec).startswith(("timm.", "open_clip.")) for spec in others)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "gpu"}, "--device"),
        ({"device": "gpu:1"}, "'cuda:1'"),
        ({"device": "toaster"}, "cuda:1"),
        ({"device": "cuda:99"}, "--device cuda:99"),
        ({"dtype": "int8"}, "--dtype"),
        ({"device": "cpu", "dtype": "tf32"}, "--dtype tf32"),
    ],
)
def test_placement__what_is_not_here_is_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_encoder("control:untrained-resnet50", **options)  # type: ignore[arg-type]


def test_dtype__computes_in_it_and_gives_float32(photos: list[Image.Image], embed_photos: Any) -> None:
    exact = load_encoder("bundled:efficientnet-lite0", device="cpu")
    half = load_encoder("bundled:efficientnet-lite0", device="cpu", dtype="bfloat16")
    a, b = embed_photos(exact, photos), embed_photos(half, photos)
    assert half.dtype == "bfloat16"
    assert b.dtype == a.dtype == "float32"
    assert half.info.weights_sha256 == exact.info.weights_sha256
    cosine = (a * b).sum(1) / ((a**2).sum(1) * (b**2).sum(1)) ** 0.5
    assert (cosine > 0.99).all()
    assert abs(a - b).max() > 1e-4


def test_dtype__float32_is_at_hand_for_the_precision_gate(photos: list[Image.Image], embed_photos: Any) -> None:
    exact = load_encoder("control:random-projection", device="cpu")
    assert exact.in_float32 is None
    again = load_encoder("control:random-projection", device="cpu", dtype="bfloat16").in_float32
    assert again is not None
    assert (embed_photos(again(), photos) == embed_photos(exact, photos)).all()


def test_compile__the_forward_pass_is_what_torch_compiled(
    photos: list[Image.Image], embed_photos: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = embed_photos(load_encoder("control:random-projection", device="cpu"), photos)
    monkeypatch.setattr(torch, "compile", lambda forward: lambda module, pixels: forward(module, pixels) + 1)
    compiled = load_encoder("control:random-projection", device="cpu", compile=True)
    assert compiled.compiled
    assert (embed_photos(compiled, photos) == plain + 1).all()
    assert not load_encoder("control:random-projection", device="cpu").compiled


@pytest.mark.parametrize(("dtype", "allowed"), [("float32", False), ("tf32", True)])
def test_tf32__only_if_requested_and_set_back(dtype: str, allowed: bool) -> None:
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = (products.allow_tf32, convolutions.allow_tf32)
    inside = []
    try:
        products.allow_tf32 = not allowed
        with contextlib.suppress(RuntimeError), tf32_only_if_requested(Placement("cuda:0", dtype)):
            inside.append((products.allow_tf32, convolutions.allow_tf32))
            raise RuntimeError
        after = (products.allow_tf32, convolutions.allow_tf32)
    finally:
        products.allow_tf32 = before[0]
    assert inside == [(allowed, allowed)]
    assert after == (not allowed, before[1])


def test_embed__empty_batch_is_refused() -> None:
    encoder = load_encoder("bundled:efficientnet-lite0", device="cpu")
    with pytest.raises(EncoderError, match="empty batch"):
        encoder.embed(torch.zeros(0, 224, 224, 3, dtype=torch.uint8))


def test_embed__wrong_shape_is_one_sentence() -> None:
    encoder = load_encoder("bundled:efficientnet-lite0", device="cpu")
    with pytest.raises(EncoderError, match="forward pass failed"):
        encoder.embed(torch.zeros(2, 224, 224, 5, dtype=torch.uint8))


def test_info__json_values_only() -> None:
    import dataclasses
    import json

    for spec in ("bundled:efficientnet-lite0", "control:jpeg-statistics", "control:random-projection"):
        info = load_encoder(spec, device="cpu").info
        assert EncoderInfo(**json.loads(json.dumps(dataclasses.asdict(info)))) == info


@pytest.mark.parametrize(
    ("library", "device", "moves"),
    [("timm", "cuda", ["cpu"]), ("timm", "cpu", []), ("callable", "cuda", []), ("callable", "cpu", [])],
)
def test_move_to_host__networks_on_a_gpu_that_camtrace_loaded(library: str, device: str, moves: list[str]) -> None:
    recorded: list[str] = []
    module: Any = SimpleNamespace(to=recorded.append)
    embed = Embedder("e", module, lambda m, x: m(x), None, Placement(device, "float32"))
    encoder: Any = SimpleNamespace(embed=embed, info=SimpleNamespace(library=library))
    move_to_host(encoder)
    assert recorded == moves


def test_move_to_host__an_encoder_without_a_network() -> None:
    function: Any = SimpleNamespace(embed=torch.Tensor.flatten, info=SimpleNamespace(library="control"))
    move_to_host(function)


def test_reload__loads_the_same_encoder_in_another_process_with_every_option():
    options = {"dtype": "bfloat16", "preprocess": "squash"}
    encoder = load_encoder("control:random-projection", device="cpu", **options)
    for again in (encoder.reload(device="cpu"), pickle.loads(pickle.dumps(encoder.reload))(device="cpu")):
        assert (again.info, again.dtype) == (encoder.info, encoder.dtype)
    named = set(inspect.signature(load_encoder).parameters)
    assert named - set(encoder.reload.keywords) == {"spec", "device", "before_conversion"}  # the last is of one run
    assert set(encoder.in_float32.keywords) < named


class _NoPlace(torch.nn.Module):
    """A module that cannot be moved."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def to(self, *given: Any, **named: Any) -> Any:
        raise self.error


def test_network_encoder__weights_that_do_not_fit_are_one_sentence_and_other_errors_pass() -> None:
    def load(error: Exception) -> None:
        network = Network(
            name="large",
            library="callable",
            module=_NoPlace(error),
            preprocess=np.asarray,
            preprocessing={},
            normalise=None,
            forward=call_module,
            pooling="",
        )
        network_encoder(network, Placement("cpu", "float32"))

    with pytest.raises(EncoderError) as refused:
        load(torch.cuda.OutOfMemoryError("CUDA out of memory"))
    assert "--together" in str(refused.value)
    with pytest.raises(RuntimeError, match=r"^no kernel$"):
        load(RuntimeError("no kernel"))
