"""Encoders keep their names, sizes and training, and their photos' preprocessing, between versions; so do the sentences
about what is none."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmark.encoders import STUDY, list_encoders, load_encoder
from benchmark.encoders.loaders.checkpoint_files.folders import in_another_format, require_torch
from benchmark.encoders.loaders.checkpoint_files.formats import WAYS, format_of, refuse
from benchmark.encoders.loaders.transformers.refusals import (
    MORE,
    TOKENS,
    VIDEOS,
    more_than_a_picture,
    refuse_what_reads_no_photo,
)
from benchmark.encoders.network import probe_image
from benchmark.encoders.preprocess.modes import study_transform
from benchmark.encoders.suggestions import OTHER_NAMES, named_elsewhere
from builders.errors import UsageError
from tests.support.recorded import check_entry, check_recorded, information

LOADED = ("control:random-projection", "control:phash", "control:dhash", "control:whash", "control:jpeg-statistics")


def test_rows_of_encoders__are_as_recorded() -> None:
    check_recorded("encoders", {row.spec: dataclasses.asdict(row) for row in list_encoders()})


def test_embeddings_of_controls__are_as_recorded(embed_photos: Callable[..., Any]) -> None:
    made: dict[str, Any] = {}
    for spec in LOADED:
        encoder = load_encoder(spec, device="cpu")
        made[f"{spec}: information"] = {k: v for k, v in vars(encoder.info).items() if k not in ("versions", "details")}
        made[f"{spec}: embeddings"] = embed_photos(encoder, [probe_image(320, 240), probe_image(90, 300)])
    check_recorded("embeddings-of-controls", made, tolerance=0.003)


@pytest.mark.parametrize("spec", ["bundled:efficientnet-lite0", "control:untrained-resnet50"])
def test_information_of_networks_with_a_name__is_as_recorded(spec: str) -> None:
    check_entry("information-of-encoders", spec, information(load_encoder(spec, device="cpu")))


def test_names_of_other_code__are_as_recorded() -> None:
    check_recorded("names-of-weights", {name: named_elsewhere(name) for name in OTHER_NAMES})


def test_transforms_of_the_study__are_as_recorded() -> None:
    check_recorded("transforms-of-the-study", {row.spec: study_transform(row.spec) for row in STUDY})


def test_refusals__are_as_recorded() -> None:
    """What a model reads that is no encoder, and what to run for files that are not read."""
    made: dict[str, Any] = {}
    for kind in (*VIDEOS, *TOKENS, *MORE):
        with pytest.raises(UsageError) as refused:
            refuse_what_reads_no_photo("mine", SimpleNamespace(model_type=kind))
        made[f"model: {kind}"] = str(refused.value)
    model = SimpleNamespace(config=SimpleNamespace(vision_config=SimpleNamespace(image_size=(96, 64))))
    for reason in ("it needs text", "Input image size (32*32) doesn't match model (96*64)."):
        made[f"picture: {reason}"] = str(more_than_a_picture("mine", model, reason))
    made |= {f"file: {kind}": str(refuse(kind, Path("here/model one.bin"), "mine")) for kind in WAYS}
    for name in LAYOUTS:
        made[f"folder: {name}"] = in_another_format(["notes.txt", name])
        with pytest.raises(UsageError) as refused:
            require_torch("mine", [name, "config.json"], (".bin", ".pt"))
        made[f"checkpoint: {name}"] = str(refused.value)
        require_torch("mine", [name, "model.pt"], (".bin", ".pt"))
    require_torch("mine", ["config.json"], (".bin", ".pt"))
    check_recorded("refusals-of-encoders", made)


LAYOUTS = (
    *("saved_model.pb", "zero_to_fp32.py", ".metadata", "pytorch_model_fsdp_0", "flax_model.msgpack", "tf_model.h5"),
    *("_CHECKPOINT_METADATA", "manifest.ocdbt", "model.onnx"),
)


def test_formats__by_the_end_of_a_name_and_by_the_first_bytes_are_as_recorded(tmp_path: Path) -> None:
    ends = "onnx keras h5 hdf5 gguf tflite msgpack npz npy parquet csv mlmodel ptl mar pdparams engine plan pt2 distcp"
    names = [*(f"model.{end}" for end in ends.split()), "model.weights.h5", "model.index.json", "model.bin", "notes"]
    starts = [
        b"\x89HDF",
        b"GGUF",
        b"PAR1",
        b"\x93NUMPY",
        b"\x1f\x8b",
        b"<!DOCTYPE",
        b"<!doctype",
        b"<html",
        b"version https://",
    ]
    starts += [
        b"\x80\x02",
        b"1234TFL3",
        b"12345TFL3",
        (9).to_bytes(8, "little") + b"{",
        (1 << 32).to_bytes(8, "little") + b"{",
    ]
    starts += [(9).to_bytes(8, "little") + b"[", ((1 << 32) - 1).to_bytes(8, "little") + b"{", b"", b"a"]
    starts += [b"name".ljust(257, b"\0") + b"ustar", b"name".ljust(256, b"\0") + b"ustar"]
    made: dict[str, Any] = {}
    for name in names:
        (tmp_path / name).write_bytes(b"\0 no known beginning")
        made[name] = format_of(tmp_path / name, "mine")
    for number, start in enumerate(starts):
        (tmp_path / "model.bin").write_bytes(start)
        made[f"start {number}: {start.strip(bytes(1))[:16]!r}"] = format_of(tmp_path / "model.bin", "mine")
    check_recorded("formats-of-weights", made)
