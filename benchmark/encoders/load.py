"""``load_encoder``: from a specification, a text, to an encoder.

==============================  =================================================================================
``bundled:``, ``control:``,     one of the names in the registry
``checkpoint:``
``ORG/NAME[@REVISION]``,        a Hub repo, by transformers, open_clip or timm, whichever its own metadata names
``hf-hub:ORG/NAME``
``https://huggingface.co/...``  the same, by its address
``local-dir:PATH``, or a path   the same in a local folder, or weights as a trainer wrote them
``timm:NAME``                   timm's own names, such as ``timm:resnet50.a1_in1k``
``open_clip:ARCH/PRETRAINED``   open_clip's own names, such as ``open_clip:RN50/openai``
``torchvision:NAME/WEIGHTS``    torchvision's own names, such as ``torchvision:resnet50/IMAGENET1K_V2``
``weights:PATH?arch=timm:...``  weights as a trainer wrote them (``loaders/checkpoint_files/request.py``: options)
``open_clip:ARCH//PATH``        the same of open_clip's training
``onnx:PATH?size=224&mean=...`` a network in an ONNX file (``loaders/onnx/file.py``: options)
``vlm:ORG/NAME``, ``vlm:PATH``  a vision-language model: its vision tower, and what it answers to questions
``embeddings:FILE``             embeddings that another program computed (``loaders/stored.py``: form of the file)
``answers:FILE``                answers of a vision-language model (``loaders/answers/file.py``: form of the file)
``scores:FILE``                 scores of a detector of generated photos (``loaders/scores.py``: form of the file)
``...?output=projected``        of a folder or Hub repo for transformers: another output than the default
``...?patches=256``             of a model that keeps the aspect ratio of photos: at most so many patches
``PREFIX:NAME``                 what an installed package adds under this prefix (``builders/plugins.py``)
``MODULE:NAME``                 anything importable (``loaders/python.py``); ``callable:MODULE:NAME`` where the module
                                has the name of one of the prefixes above
==============================  =================================================================================

A known prefix takes precedence over a module of that name, an existing folder over a Hub repo of that name.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmark.compute import blamed, can_isolate, foreign_code, refuse_crashed
from benchmark.encoders.catalogue import list_encoders
from benchmark.encoders.encoder import Encoder
from benchmark.encoders.isolated import DOWNLOAD_S, LOAD_S, load_isolated
from benchmark.encoders.loaders.python import load_callable, load_of_plugin
from benchmark.encoders.preprocess.modes import checked_mode, with_preprocessing
from benchmark.encoders.provenance import statement
from benchmark.encoders.registry import NAMED, LoadRequest
from benchmark.encoders.suggestions import did_you_mean, named_elsewhere, nearest_name, unknown_model
from benchmark.options import default_cache
from builders.errors import CamtraceError, EncoderError, UsageError, missing_package
from builders.plugins import plugins
from builders.untrusted import describe_error

PREFIXES = {
    "bundled": "named",
    "control": "named",
    "checkpoint": "named",
    "callable": "benchmark.encoders.loaders.python:load_callable",
    "hf-hub": "benchmark.encoders.loaders.hub:load_hub",
    "local-dir": "benchmark.encoders.loaders.checkpoint_files.load:load_path",
    "timm": "benchmark.encoders.loaders.libraries:load_timm",
    "open_clip": "benchmark.encoders.loaders.libraries:load_open_clip",
    "embeddings": "benchmark.encoders.loaders.stored:load_embeddings",
    "answers": "benchmark.encoders.loaders.answers.file:load_answers",
    "scores": "benchmark.encoders.loaders.scores:load_scores",
    "weights": "benchmark.encoders.loaders.checkpoint_files.load:load_weights",
    "onnx": "benchmark.encoders.loaders.onnx.file:load_onnx",
    "torchvision": "benchmark.encoders.loaders.libraries:load_torchvision",
    "vlm": "benchmark.encoders.loaders.transformers.answering:load_vlm",
}
"""Prefix of a specification, before its first colon, and the loader, which is imported when used."""

_OF_THE_HUB = ("load_hub", "load_timm", "load_vlm")
"""Loaders whose weights may come from a Hub repo, which has revisions."""

_NO_PREFIX = ("hf", "huggingface", "transformers")
"""What people write before names on the Hub, which have no prefix."""

_REPO = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?(\?[\w=&.,%-]*)?")
_ADDRESS = re.compile(
    r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/(?!datasets/|spaces/|docs/)([\w.-]+/[\w.-]+?)"
    r"(?:/tree/([\w./-]+?))?/?(\?[\w=&.,%-]*)?"
)
_FILE = re.compile(r"([^/?:]+|([^/?:]+/){2,}[^/?:]+)\.(pth|pt|tar|ckpt|safetensors|bin|onnx)(\?.*)?")
"""A file of weights that does not exist, by its name; ``a/b.pt`` may be a repo of the Hub."""

_OBJECT = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def load_encoder(
    spec: str,
    *,
    device: str = "auto",
    dtype: str = "float32",
    revision: str | None = None,
    trust_remote_code: bool = False,
    compile: bool = False,
    runtime: str = "auto",
    cache: str | Path | None = None,
    preprocess: str = "own",
    isolated: bool = False,
    before_conversion: Callable[[Encoder], object] = lambda in_torch: None,
) -> Encoder:
    """Load one encoder, ready to embed.

    Args:
        spec: see the table at the top of ``load.py``.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:1``, ``mps``; of several (``cuda:all``,
            ``cuda:0,cuda:2``) the first.
        dtype: precision of the network: ``float32``, ``tf32`` (NVIDIA), ``bfloat16``, ``float16``. Embeddings are
            always float32.
        revision: branch, tag or commit of a Hub repo; the same as ``@REVISION`` in the spec.
        trust_remote_code: run code that comes with a Hub repo. Never without this flag.
        compile: compile the forward pass by ``torch.compile``.
        runtime: library that carries out the forward pass: ``auto`` (OpenVINO on a CPU where it can, else torch),
            ``torch``, ``openvino``, ``onnxruntime``.
        cache: folder below which compiled networks are stored; by default ``$CAMTRACE_CACHE``, or the user's cache.
        preprocess: ``own``, ``study`` (as the ICCV 2025 study did it), ``short-side`` or ``squash``: see the table in
            ``preprocess/modes.py``.
        isolated: a network of others that computes on the CPU has a process of its own, as code of users always has.
        before_conversion: called with the encoder in torch before another runtime is tried for the first time, which
            takes a second or more on one core.

    Raises:
        UsageError: unknown name (with the nearest one), missing package (with the pip command), device not available.
        EncoderError: it exists but cannot be loaded; the message is one sentence.

    >>> load_encoder("bundled:efficientnet-lite")
    Traceback (most recent call last):
    ...
    builders.errors.UsageError: unknown encoder 'bundled:efficientnet-lite': did you mean 'bundled:efficientnet-lite0'?
    """
    cache = None if cache is None else Path(cache)
    spec = _canonical(spec)
    refuse_crashed(spec)
    request = LoadRequest(spec, device, dtype, revision, trust_remote_code, compile)
    checked_mode(preprocess)
    loader = _loader(spec)
    if revision is not None and loader.__name__ not in _OF_THE_HUB:
        raise UsageError(f"{spec} has no revisions: --revision goes with a model of the Hub (ORG/NAME)")
    options: dict[str, Any] = {
        "dtype": dtype,
        "revision": revision,
        "trust_remote_code": trust_remote_code,
        "compile": compile,
        "runtime": runtime,
        "cache": cache,
        "preprocess": preprocess,
        "isolated": isolated,
    }
    again = partial(load_encoder, spec, **options)
    of_users = loader in (load_callable, load_of_plugin) or trust_remote_code
    if (of_users or (isolated and _is_downloaded(spec, device))) and can_isolate():
        where = {
            **options,
            "isolated": False,
            "device": device,
            "cache": None if cache is None else str(cache.absolute()),
        }
        remote = load_isolated(spec, where, before_conversion, LOAD_S if of_users else DOWNLOAD_S)
        if remote is not None:
            return _with_float32(replace(remote, reload=again), spec, options, device)
    try:
        with blamed(spec):
            with foreign_code(enters_folder=True):
                encoder = with_preprocessing(loader(request), preprocess)
            refuse_crashed(encoder.info.id)
            # these import torch: a wrong name is refused before
            from benchmark.encoders.admission.second_load import require_two_equal_loads
            from benchmark.encoders.runtime.choose import on_runtime

            on_cpu = replace(request, device="cpu", dtype="float32", compile=False)
            require_two_equal_loads(encoder, lambda: loader(on_cpu), (cache or default_cache()) / "compiled")
            encoder = on_runtime(_with_statement(encoder), runtime, cache, before_conversion)
    except ModuleNotFoundError as error:
        raise UsageError(missing_package(error.name or "", spec)) from None
    except MemoryError:
        raise EncoderError(f"{spec}: not enough memory to load it") from None
    except CamtraceError:
        raise
    except Exception as error:  # of untrusted code or files; a run continues with its other encoders
        raise EncoderError(f"{spec}: it cannot be loaded ({describe_error(error)})") from error
    return _with_float32(replace(encoder, reload=again), spec, options, device)


_OWN = ("bundled", "control", "embeddings", "answers", "scores", "vlm")
"""Prefixes of encoders that the run's process has: of this package, without a network, or that answer questions."""


def _is_downloaded(spec: str, device: str) -> bool:
    """Whether a specification names a network of others, and it computes on the CPU."""
    if spec.partition(":")[0] in _OWN:
        return False
    from benchmark.encoders.placement import placement

    return placement(device, "float32").device == "cpu"


def _with_float32(encoder: Encoder, spec: str, options: dict[str, Any], device: str) -> Encoder:
    """The encoder with the same one in float32 beside it, where it computes in less."""
    if options["dtype"] == "float32":
        return encoder
    kept = {name: options[name] for name in ("revision", "trust_remote_code", "preprocess", "isolated")}
    return replace(encoder, in_float32=partial(load_encoder, spec, device=device, runtime="torch", **kept))


def _with_statement(encoder: Encoder) -> Encoder:
    """With the source of the facts about its training in its details."""
    details = {**encoder.info.details, **statement(encoder.info.id)}
    return replace(encoder, info=replace(encoder.info, details=details))


def _loader(spec: str) -> Callable[[LoadRequest], Encoder]:
    prefix, colon, name = spec.partition(":")
    if colon and prefix in PREFIXES:
        if PREFIXES[prefix] != "named":
            return _imported(PREFIXES[prefix])
        if spec in NAMED:
            return NAMED[spec].load
        if "," in spec:
            raise UsageError(f"{spec}: several encoders are written --model A --model B, without commas")
        raise unknown_model("encoder", spec, NAMED, "'list encoders'")
    if colon and prefix in plugins("encoders"):
        return load_of_plugin
    if prefix in _NO_PREFIX and colon and (prefix == "transformers" or importlib.util.find_spec(prefix) is None):
        hint = did_you_mean(name) if _REPO.fullmatch(name) else "a model of the Hub is ORG/NAME, without a prefix"
        raise UsageError(f"unknown encoder {spec!r}: {hint}")
    if spec.startswith((".", "/", "~")) or ((path := spec.partition("?")[0]) and Path(path).exists()):
        return _imported(PREFIXES["local-dir"])
    if _FILE.fullmatch(spec):
        return _imported(PREFIXES["local-dir"])
    if _OBJECT.fullmatch(spec):
        _refuse_misspelt_prefix(spec)
        return load_callable
    if _REPO.fullmatch(spec):
        return _imported("benchmark.encoders.loaders.hub:load_hub")
    if "*" in spec:
        raise UsageError(f"{spec}: no file or folder has such a name")
    without_prefix = tuple(name for name in NAMED if name.partition(":")[2] == spec)
    nearest = (
        without_prefix
        or named_elsewhere(spec)
        or (nearest_name(spec, [*(row.spec for row in list_encoders()), *_prefixed(spec)]),)
    )
    remedy = "give a name from 'list encoders', ORG/NAME on the Hub, a folder, a file, or module:function"
    raise UsageError(f"unknown encoder {spec!r}: {did_you_mean(*nearest) or remedy}")


def _canonical(spec: str) -> str:
    """A specification without other ways to write it: addresses of the Hub, ``timm:hf-hub:ORG/NAME``, and
    ``open_clip:ARCH//PATH``.

    >>> _canonical("https://huggingface.co/org/name/tree/v1"), _canonical("open_clip:ViT-B-32//runs/epoch_9.pt")
    ('org/name@v1', 'weights:/runs/epoch_9.pt?arch=open_clip:ViT-B-32')
    """
    spec = re.sub(r"^(timm|open_clip):hf[-_]hub:", "", spec)
    if match := re.fullmatch(r"open_clip:([^/?]+)/((?:/|\./|\.\./|~)[^?]*)(?:\?(.*))?", spec):
        path = match[2]
        if not Path(path).expanduser().exists() and Path(path.lstrip("/")).exists():
            path = path.lstrip("/")  # ``ARCH//runs/epoch_9.pt`` for a folder below the current one
        return f"weights:{path}?arch=open_clip:{match[1]}{f'&{match[3]}' if match[3] else ''}"
    if not re.match(r"https?://", spec):
        return spec
    if match := _ADDRESS.fullmatch(spec):
        return f"{match[1]}{f'@{match[2]}' if match[2] else ''}{match[3] or ''}"
    if re.match(r"https?://(www\.)?(huggingface\.co|hf\.co)/", spec):
        raise UsageError(f"{spec} names no model of the Hub: give https://huggingface.co/ORG/NAME, or ORG/NAME")
    raise UsageError(f"{spec}: no address is downloaded; fetch the file, then --model 'weights:FILE?arch=timm:NAME'")


def _imported(target: str) -> Callable[[LoadRequest], Encoder]:
    module, _, function = target.partition(":")
    return getattr(importlib.import_module(module), function)


def _refuse_misspelt_prefix(spec: str) -> None:
    """``bundeld:imgsim`` has the form of ``MODULE:NAME``; suggest the nearest name unless there is such a module."""
    module = spec.partition(":")[0]
    near = nearest_name(spec, [*NAMED, *_prefixed(spec)])
    if near and importlib.util.find_spec(module.partition(".")[0]) is None:
        raise UsageError(f"unknown encoder {spec!r}: {did_you_mean(near)}")
    from builders.data_specs import refuse_photos

    refuse_photos(spec)


def _prefixed(spec: str) -> list[str]:
    """A specification under every prefix, of which one may be misspelt in it."""
    _, colon, rest = spec.partition(":")
    return [f"{prefix}:{rest}" for prefix in (*PREFIXES, *plugins("encoders"))] if colon else []
