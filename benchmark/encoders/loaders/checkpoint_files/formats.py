"""Formats of files of weights, recognised by their content, and what to run for those that are not read here."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from builders.errors import EncoderError, UsageError
from builders.untrusted import MAX_HUB_FILE_BYTES, UntrustedInputError, open_untrusted

EXPORT = "export it as ONNX or embed with it: --model onnx:FILE.onnx?size=..., or --model embeddings:FILE.parquet"

STATE_DICT = "torch.save({0}.state_dict(), 'weights.pth')"

WAYS: Mapping[str, str] = {
    "TorchScript": "is a TorchScript program, and running it could read and write files; its weights are enough, "
    f"run: import torch; {STATE_DICT.format('torch.jit.load({name!r})')}, "
    "then --model 'weights:weights.pth?arch=timm:NAME'",
    "torch.export": "is a program of torch.export, not weights; run: import torch; "
    f"{STATE_DICT.format('torch.export.load({name!r}).module()')}, then --model 'weights:weights.pth?arch=timm:NAME'",
    "ONNX": "is an ONNX file: --model 'onnx:{name}?size=224'",
    "Keras": "is a Keras file; run: model = keras.models.load_model({name!r}); model.export('model.onnx', "
    "format='onnx'), then --model 'onnx:model.onnx?size=224'",
    "HDF5": "is an HDF5 file of Keras or TensorFlow; run: model = keras.models.load_model({name!r}); "
    "model.export('model.onnx', format='onnx'), then --model 'onnx:model.onnx?size=224'",
    "Keras weights": "holds weights of Keras without their network; run, in the code that makes the network: "
    "model.load_weights({name!r}); model.export('model.onnx', format='onnx'), then --model 'onnx:model.onnx?size=224'",
    "GGUF": "is a GGUF file for llama.cpp, whose weights are rounded; score the checkpoint that it was made from",
    "TensorFlow Lite": "is a TensorFlow Lite file; run: python -m tf2onnx.convert --tflite {name} "
    "--output model.onnx, "
    "then --model 'onnx:model.onnx?size=224'",
    "Flax": "holds weights of Flax; run with transformers 4: AutoModel.from_pretrained(FOLDER, from_flax=True)"
    ".save_pretrained('torch'), then --model ./torch",
    "NumPy": "is an archive of NumPy arrays, as JAX code writes it; run: model = timm.create_model(NAME); "
    "model.load_pretrained({name!r}); " + STATE_DICT.format("model") + ", then --model "
    "'weights:weights.pth?arch=timm:NAME'",
    "table": "is a table; if it holds embeddings: --model embeddings:{name}",
    "array": "is an array; if it holds embeddings, with NAME.csv of photo ids next to it: --model embeddings:{name}",
    "mobile": "is a package for phones; " + EXPORT,
    "joblib": "is a pickle of joblib, and reading it runs code; embed with it where it was made, then "
    "--model embeddings:FILE.parquet",
    "OpenVINO": "is a network of OpenVINO; score the checkpoint that it was made from, or a function from a photo to "
    "its embedding that calls openvino.Core().compile_model({name!r}): --model MODULE:FUNCTION",
    "Paddle": "holds weights of PaddlePaddle; run: paddle2onnx, then --model 'onnx:model.onnx?size=224'",
    "engine": "is compiled for one machine; " + EXPORT,
    "part": "is one rank's part of a sharded checkpoint; join the parts as the trainer's documentation says",
    "nothing": "is empty",
    "page": "is a web page, not weights: fetch the file itself",
    "pointer": "is a pointer of Git LFS, not the weights; run: git lfs pull",
    "packed": "is a packed archive: unpack it, and score what is in it",
    "unknown": "is no file of weights that is known here; " + EXPORT,
}
"""Format -> the sentence after the name of a file."""

_BY_SUFFIX = {
    ".onnx": "ONNX",
    ".keras": "Keras",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
    ".gguf": "GGUF",
    ".tflite": "TensorFlow Lite",
    ".msgpack": "Flax",
    ".npz": "NumPy",
    ".npy": "array",
    ".parquet": "table",
    ".csv": "table",
    ".mlmodel": "mobile",
    ".ptl": "mobile",
    ".mar": "mobile",
    ".pdparams": "Paddle",
    ".engine": "engine",
    ".plan": "engine",
    ".pt2": "torch.export",
    ".distcp": "part",
    ".joblib": "joblib",
    ".xml": "OpenVINO",
}

_BY_START = {
    b"\x89HDF": "HDF5",
    b"GGUF": "GGUF",
    b"PAR1": "table",
    b"\x93NUMPY": "array",
    b"\x1f\x8b": "packed",
    b"<!DOCTYPE": "page",
    b"<!doctype": "page",
    b"<html": "page",
    b"version https://": "pointer",
}


def format_of(path: Path, label: str) -> str:
    """``torch``, ``safetensors``, or a key of ``WAYS``.

    Args:
        path: of the file.
        label: of the encoder, for messages.

    Raises:
        EncoderError: it cannot be read, or is no regular file.
    """
    try:
        with open_untrusted(path, limit=MAX_HUB_FILE_BYTES) as stream:
            start, later = stream.read(16), stream.read(256)
            if not start:
                return "nothing"
            if start.startswith(b"PK"):
                return _of_archive(stream, path)
    except UntrustedInputError as refused:
        raise EncoderError(f"{label}: {refused.reason}") from None
    except zipfile.BadZipFile:
        raise EncoderError(f"{label}: the file is cut short or damaged: copy it again") from None
    if path.name.endswith(".weights.h5"):
        return "Keras weights"
    named = next((kind for begins, kind in _BY_START.items() if start.startswith(begins)), None)
    if named or start[4:8] == b"TFL3":
        return named or "TensorFlow Lite"
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 1 << 32:
        return "safetensors"
    if path.suffix in _BY_SUFFIX:
        return _BY_SUFFIX[path.suffix]
    if path.name.endswith(".index.json"):
        return "torch"
    if later[241:246] == b"ustar":
        return "packed"
    return "torch" if start[:1] == b"\x80" else "unknown"  # torch.save wrote a pickle until torch 1.6


def _of_archive(stream: object, path: Path) -> str:
    with zipfile.ZipFile(stream) as archive:  # type: ignore[call-overload]
        names = archive.namelist()
    parts = {name.partition("/")[2] for name in names} | set(names)
    if "bytecode.pkl" in parts or path.suffix in (".ptl", ".mar"):
        return "mobile"
    if "constants.pkl" in parts:
        return "TorchScript"
    if "archive_format" in parts or "serialized_exported_program.json" in parts:
        return "torch.export"
    if "data.pkl" in parts:
        return "torch"
    if "model.weights.h5" in parts:
        return "Keras"
    return "NumPy" if names and all(name.endswith(".npy") for name in names) else "unknown"


def refuse(kind: str, path: Path, label: str) -> UsageError:
    """The error of a file that is not read here, with what to run."""
    return UsageError(f"{label} {WAYS[kind].replace('{name!r}', repr(path.name)).replace('{name}', path.name)}")
