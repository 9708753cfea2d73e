"""Folders as trainers write them -> the file of weights to score, or the folder in it, and why that one."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.encoders.loaders.checkpoint_files.formats import EXPORT
from builders.errors import EncoderError, UsageError
from builders.untrusted import UntrustedInputError, list_folder, read_untrusted_json, readable

STEP = re.compile(r"checkpoint-(\d+)")
"""Folder of a checkpoint by transformers' Trainer."""

ADAPTER = "adapter_config.json"
"""Configuration of an adapter by PEFT."""

_WEIGHTS = re.compile(r".+\.(pth|pt|ckpt|safetensors|bin|pth\.tar|tar)")
_STATE = re.compile(r"(optimizer|scheduler|scaler|training_args|rng_state.*|random_states_\d+|trainer_state)\..+")

_LAYOUTS: tuple[tuple[str, str], ...] = (
    ("saved_model.pb", "a SavedModel of TensorFlow; run: python -m tf2onnx.convert --saved-model . "
     "--output model.onnx, then --model 'onnx:model.onnx?size=224'"),
    ("zero_to_fp32.py", "a checkpoint of DeepSpeed in parts; run: python zero_to_fp32.py . joined, "
     "then --model weights:joined?arch=timm:NAME"),
    (".metadata", "a distributed checkpoint of torch (FSDP) in parts; run: python -m torch.distributed.checkpoint."
     "format_utils dcp_to_torch . weights.pth, then --model 'weights:weights.pth?arch=timm:NAME'"),
    ("pytorch_model_fsdp_0", "a distributed checkpoint of torch (FSDP) in parts; run: accelerate merge-weights "
     "pytorch_model_fsdp_0 joined, then --model weights:joined?arch=timm:NAME"),
    ("flax_model.msgpack", "weights of Flax; run with transformers 4: AutoModel.from_pretrained('.', from_flax=True)"
     ".save_pretrained('torch'), then --model ./torch"),
    ("tf_model.h5", "weights of TensorFlow; run with transformers 4: AutoModel.from_pretrained('.', from_tf=True)"
     ".save_pretrained('torch'), then --model ./torch"),
    ("_CHECKPOINT_METADATA", "a checkpoint of JAX (Orbax); " + EXPORT),
    ("manifest.ocdbt", "a checkpoint of JAX (Orbax); " + EXPORT),
    (".gguf", "weights for llama.cpp (GGUF), which are rounded; score the checkpoint that they were made from"),
    (".xml", "a network of OpenVINO; score the checkpoint that it was made from, or a function from a photo to its "
     "embedding that calls openvino.Core().compile_model(FILE): --model MODULE:FUNCTION"),
    ("Manifest.json", "a package of CoreML; " + EXPORT),
    (".joblib", "a pickle of joblib, and reading it runs code; embed with it where it was made, then --model "
     "embeddings:FILE.parquet"),
    ("model.onnx", "an ONNX file; --model 'onnx:model.onnx?size=224' in that folder"),
)  # fmt: skip
"""Name in a folder, or its end from a dot on -> what the folder holds, and what to run."""


@dataclass(frozen=True)
class Choice:
    """What to score of a folder."""

    path: Path
    """A file of weights, an index of shards, or a folder."""
    reason: str
    """Why this one, for a notice; empty where there is no other."""


def chosen(folder: Path, label: str) -> Choice:
    """The checkpoint in a folder of a training.

    Args:
        folder: of the training.
        label: of the encoder, for messages.

    Raises:
        UsageError: there is none, or several of which nothing says which one counts.
        EncoderError: the folder cannot be listed.
    """
    files, folders = _listed(folder, label)
    if ADAPTER in files:
        return Choice(folder, "")
    for choose in (_of_trainer, _of_timm, _of_open_clip, _of_lightning):
        if choice := choose(folder, files, folders):
            return choice
    indices = [name for name in files if name.endswith(".safetensors.index.json") or name.endswith(".bin.index.json")]
    weights = [name for name in _of_torch(files) if _WEIGHTS.fullmatch(name) and not _STATE.fullmatch(name)]
    if indices:
        return Choice(folder / indices[0], "")
    whole = [name for name in weights if not re.search(r"-\d{5}-of-\d{5}\.", name)]
    if len(whole) == 1 or (weights and not whole):
        return Choice(folder / (whole or weights)[0], "")
    if {"model.safetensors", "pytorch_model.bin"} <= set(whole):
        return Choice(folder / "model.safetensors", "of two formats")
    if whole:
        listed = ", ".join(readable(name) for name in whole[:5])
        raise UsageError(f"{label} holds {len(whole)} files of weights ({listed}): name one, as weights:FOLDER/FILE")
    if what := _in_another_format([*files, *folders]):
        raise UsageError(f"{label} holds {what}")
    listed = ", ".join(readable(name) for name in [*folders, *files][:5]) or "nothing"
    raise UsageError(
        f"{label} holds no checkpoint for transformers, open_clip or timm, and no file of weights: {listed}"
    )


def _in_another_format(names: Collection[str]) -> str:
    """What names of files and folders stand for, and what to run; empty if they are not known.

    >>> _in_another_format(["config.json", "flax_model.msgpack"])[:15]
    'weights of Flax'
    """
    ends = {Path(name).suffix for name in names}
    return next((what for name, what in _LAYOUTS if name in names or name in ends), "")


def _of_torch(names: Collection[str]) -> list[str]:
    """Names of files without the numbers of OpenVINO's networks.

    >>> _of_torch(["openvino_model.bin", "openvino_model.xml", "pytorch_model.bin"])
    ['openvino_model.xml', 'pytorch_model.bin']
    """
    return [name for name in names if not (name.endswith(".bin") and f"{name.removesuffix('.bin')}.xml" in names)]


def require_torch(name: str, names: Collection[str], suffixes: tuple[str, ...]) -> None:
    """Refuse a checkpoint that only another framework reads.

    Args:
        name: of the encoder.
        names: of its files.
        suffixes: of files of weights for torch.

    Raises:
        UsageError: with what to run.
    """
    if not any(file.endswith(suffixes) for file in _of_torch(names)) and (what := _in_another_format(names)):
        raise UsageError(f"{name} holds {what}")


def checkpoint_folder(folder: Path) -> Path:
    """The folder itself; in the layout of sentence-transformers the folder of the checkpoint in it
    (``0_CLIPModel/``)."""
    modules = [] if (folder / "config.json").is_file() else _sentence_modules(folder)
    first = str(modules[0].get("path") or "") if modules else ""
    below = (folder / first).resolve() if first else folder
    return below if (below / "config.json").is_file() and folder.resolve() in below.parents else folder


def _sentence_modules(folder: Path) -> list[dict[str, Any]]:
    """Modules that sentence-transformers applies one after the other; empty for another layout."""
    if not (folder / "modules.json").is_file():
        return []
    try:
        modules = read_untrusted_json(folder / "modules.json")
    except UntrustedInputError:
        return []
    whole = isinstance(modules, list) and all(isinstance(module, dict) for module in modules)
    return modules if whole else []


def require_no_more_modules(folder: Path, name: str) -> None:
    """Refuse a checkpoint of sentence-transformers whose embedding is computed by further modules.

    Args:
        folder: of the checkpoint.
        name: of the encoder.

    Raises:
        UsageError: with what to run.
    """
    at_root = (folder / "config.json").is_file()  # there a pooling is of texts
    unchanged = ("Normalize", "Pooling") if at_root else ("Normalize",)
    kinds = [str(module.get("type")).rpartition(".")[2] for module in _sentence_modules(folder)[1:]]
    if more := [kind for kind in kinds if kind not in unchanged]:
        what = f"its embedding is computed by further modules of sentence-transformers ({', '.join(more)})"
        embed = f"SentenceTransformer({name.removeprefix('local-dir:').partition('@')[0]!r}).encode(images)"
        raise UsageError(f"{name}: {what}; run: {embed}, then --model embeddings:FILE.parquet")


def _listed(folder: Path, label: str) -> tuple[list[str], list[str]]:
    """The names of files and of folders."""
    try:
        listing = list_folder(folder)
        return listing.files, listing.folders
    except UntrustedInputError as refused:
        raise EncoderError(f"{label}: {refused.reason}") from None


def _of_trainer(folder: Path, files: Sequence[str], folders: Sequence[str]) -> Choice | None:
    """The best checkpoint by ``trainer_state.json``, else the newest."""
    steps = sorted((int(match[1]), name) for name in folders if (match := STEP.fullmatch(name)))
    steps = [
        (step, name) for step, name in steps if any((folder / name / f).is_file() for f in ("config.json", ADAPTER))
    ]
    if not steps:
        return None
    newest = steps[-1][1]
    try:
        state = read_untrusted_json(folder / newest / "trainer_state.json")
        best = str(state.get("best_model_checkpoint") or "").replace("\\", "/").rpartition("/")[2]
    except (UntrustedInputError, AttributeError):
        best = ""
    if best in [name for _, name in steps]:
        return Choice(folder / best, f"the best of {len(steps)} by trainer_state.json")
    return Choice(folder / newest, f"the newest of {len(steps)}")


def _of_timm(folder: Path, files: Sequence[str], folders: Sequence[str]) -> Choice | None:
    """``model_best``, else ``last``, else the newest."""
    saved = [name for name in files if name.endswith(".pth.tar")]
    for name, why in (("model_best.pth.tar", "timm's best"), ("last.pth.tar", "timm's last")):
        if name in saved:
            return Choice(folder / name, why)
    return _newest(folder, saved, r"checkpoint-(\d+)\.pth\.tar")


def _of_open_clip(folder: Path, files: Sequence[str], folders: Sequence[str]) -> Choice | None:
    """The newest epoch of ``checkpoints/epoch_N.pt``."""
    below, names = _below(folder, files, folders, ".pt")
    choice = _newest(below, names, r"epoch_(\d+)\.pt")
    return choice or (Choice(below / "epoch_latest.pt", "the latest") if "epoch_latest.pt" in names else None)


def _of_lightning(folder: Path, files: Sequence[str], folders: Sequence[str]) -> Choice | None:
    """``last.ckpt``, else the only one, else the newest epoch; of ``lightning_logs`` the newest version."""
    if "lightning_logs" in folders:
        folder = folder / "lightning_logs"
        files, folders = (), list_folder(folder).folders
    versions = sorted((int(m[1]), name) for name in folders if (m := re.fullmatch(r"version_(\d+)", name)))
    reason = ""
    if versions:
        folder = folder / versions[-1][1]
        reason = f" of {versions[-1][1]}" if len(versions) > 1 else ""
        files, folders = list_folder(folder).files, list_folder(folder).folders
    below, names = _below(folder, files, folders, ".ckpt")
    if len(names) == 1 and (versions or below != folder or "hparams.yaml" in files):
        return Choice(below / names[0], reason.strip())
    if "last.ckpt" in names:
        return Choice(below / "last.ckpt", f"the last{reason}")
    choice = _newest(below, names, r".*epoch=(\d+).*\.ckpt")
    return choice and Choice(choice.path, choice.reason + reason)


def _below(folder: Path, files: Sequence[str], folders: Sequence[str], suffix: str) -> tuple[Path, list[str]]:
    """The folder itself or its ``checkpoints``, and the files with a suffix in it."""
    here = [name for name in files if name.endswith(suffix)]
    if here or "checkpoints" not in folders:
        return folder, here
    below = folder / "checkpoints"
    return below, [name for name in list_folder(below, may_be_absent=True).files if name.endswith(suffix)]


def _newest(folder: Path, names: Sequence[str], pattern: str) -> Choice | None:
    numbered = sorted((int(match[1]), name) for name in names if (match := re.fullmatch(pattern, name)))
    return Choice(folder / numbered[-1][1], f"the newest of {len(numbered)}") if numbered else None
