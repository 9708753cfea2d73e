"""``camtrace.score``: the scoring command as a function, for specifications and objects in memory."""

from __future__ import annotations

import inspect
import warnings
from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from benchmark.api.results import Results
from benchmark.encoders import Encoder, as_encoder, is_module, load_encoder
from benchmark.erasing import Erasing
from benchmark.options import (
    DEFAULT_DATA,
    DEFAULT_MODEL,
    OPTIONS,
    default_arguments,
    initial_value,
    loading_options,
    to_run_options,
)
from benchmark.scoring import EncoderSource, Log, Request, Scored, run_request
from builders.cli import OPTIONS_MEANT, size_in_bytes
from builders.errors import EncoderError, UsageError, notice_of_old_spelling, unknown_name
from builders.photos import PhotoSet

if TYPE_CHECKING:
    from torch import nn
    from typing_extensions import Unpack

    EncoderLike = str | Encoder | nn.Module | Callable[[Any], Any]


class ScoreOptions(TypedDict, total=False):
    """The options that ``score`` passes on, for type checkers and editors; defaults are ``RunOptions``'."""

    processings: str | Path
    preset: str | None
    protocol: str | None
    readers: str
    ties: str | None
    orientation: str | None
    neighbours: int | None
    queries: int | None
    distractors: str
    mask_ratio: float
    limit: int | None
    stream: bool
    min_usable: float
    seed: int
    device: str
    dtype: str
    storage: str
    force_dtype: bool
    allow_random: bool
    runtime: str
    compile: bool
    batch_size: int
    workers: int
    views: str
    memory: int | str | None
    verify_bytes: bool
    fresh: bool


def score(
    model: EncoderLike | Sequence[EncoderLike] | Mapping[str, EncoderLike] = DEFAULT_MODEL,
    *,
    data: str | PhotoSet | Sequence[str | PhotoSet] = DEFAULT_DATA,
    tasks: str | Sequence[str] = (),
    preprocess: str | Callable[[Any], Any] | None = None,
    outputs: str | Sequence[str] | None = None,
    eraser: str | Path | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
    cache: str | Path | None = None,
    output: str | Path | None = None,
    **options: Unpack[ScoreOptions],
) -> Results:
    """Score what encoders keep of the camera and the codec.

    Args:
        model: one or several encoders: what ``--model`` takes, a ``torch.nn.Module`` (with ``preprocess``), a function
            from an RGB ``PIL.Image`` to a vector, or an ``Encoder``. A mapping gives names to those that have none.
        data: one or several: what ``--data`` takes, or photo sets.
        tasks: patterns such as ``"probe/*"``; all that the photos can answer by default.
        preprocess: ``"own"``, ``"study"``, ``"short-side"`` or ``"squash"``, of every encoder; or, of modules in
            memory, RGB ``PIL.Image`` -> tensor, as for their evaluation. With a name, a module in memory needs
            an attribute ``preprocess``.
        outputs: layers scored besides the embedding: ``"layers"``, ``"layers[::4]:mean,cls"``, or several of them.
        eraser: a folder that ``camtrace erase`` wrote, or ``OWNER/NAME`` on the Hub: applied before any score.
        revision: branch, tag or commit of an encoder of the Hub.
        trust_remote_code: run code that comes with a repository of the Hub.
        cache: folder of the banks of embeddings; by default the user's cache.
        output: a folder for the files that the command writes. Without it only the bank of embeddings is written.
        options: those of ``camtrace score``, with the same names and defaults; ``camtrace score --help`` explains them.
            Of ``preset``, ``"camtrace"`` is ours, the default, and ``"iccv2025"`` the published study's; it decides
            ``protocol``, ``preprocess``, ``ties`` and ``orientation`` if they are not given. ``processings`` is a TOML
            file (``docs/how-to/own-processings.md``) or a preset such as ``"web"``; ``memory`` is in bytes or ``"8G"``.

    Returns:
        Every score. What failed is in ``failures``, with a warning if it is an encoder or a data set.

    Raises:
        UsageError: the request is wrong: a name, a value, an option (with the nearest one).
        EncoderError, DataError: the only encoder, or the only data set, cannot be used.

    >>> score(batchsize=8)
    Traceback (most recent call last):
    ...
    builders.errors.UsageError: unknown option 'batchsize': did you mean 'batch_size'?
    """
    given: dict[str, Any] = dict(options)
    if "encoders" in given:
        notice_of_old_spelling("camtrace.score(encoders=...)", "is now model=...")
        model = given.pop("encoders")
    for name in given:
        if name not in _PASSED_ON:
            raise _unknown_option(name)
    if "memory" in given:
        given["memory"] = _bytes(given["memory"])
    if "processings" in given:
        given["processings"] = str(given["processings"])
    args = default_arguments()
    vars(args).update(given, trust_remote_code=trust_remote_code)
    transform = None if preprocess is None or isinstance(preprocess, str) else preprocess
    mode = preprocess if isinstance(preprocess, str) else None
    output_list = [outputs] if isinstance(outputs, str) else list(outputs or ())
    vars(args).update(preprocess=mode, outputs=output_list, tasks=[tasks] if isinstance(tasks, str) else list(tasks))
    if cache is not None:
        args.cache = Path(cache)
    by_name = _named(model)
    sets = [data] if isinstance(data, str | PhotoSet) else list(data)
    if not by_name or not sets:
        raise UsageError("nothing to score: give at least one encoder and one data set")
    specs = [thing for thing in by_name.values() if isinstance(thing, str)]
    if revision is not None and len(specs) != 1:
        raise UsageError("revision goes with one encoder of the Hub; with several, write each as NAME@REVISION")
    loading = loading_options(args)
    in_memory = {name: value for name, value in loading.items() if name not in ("trust_remote_code", "preprocess")}
    in_memory["mode"] = loading["preprocess"]
    sources: dict[str, EncoderSource] = {}
    for name, thing in by_name.items():
        if isinstance(thing, str):
            sources[name] = EncoderSource(
                partial(load_encoder, thing, revision=revision, isolated=True, **loading), thing
            )
        else:
            encoder_name = name if isinstance(model, Mapping) else ""
            module_preprocess = transform if is_module(thing) else None
            load = partial(_of_object, thing, name=encoder_name, preprocess=module_preprocess, **in_memory)
            sources[name] = EncoderSource(load, None)
    if transform is not None and not any(map(is_module, by_name.values())):
        raise UsageError("preprocess goes with a torch.nn.Module in memory; every other encoder brings its own")
    folder = None if output is None else Path(output)
    erasing = None if eraser is None else Erasing.load(str(eraser))
    request = Request(sources, sets, args.tasks, to_run_options(args), trust_remote_code, erasing, folder)
    scored: list[Scored] = []
    outcome = run_request(
        request, scored=scored.append, log=Log(warning=lambda text: warnings.warn(text, stacklevel=3))
    )
    if not scored:
        raise outcome.failed[0].error
    failed = {f.name: f.reason for item in scored for f in item.result.failures if f.kind == "encoder"}
    if failed and not any(item.result.scores for item in scored):
        raise EncoderError(next(iter(failed.values())))
    for reason in failed.values():
        warnings.warn(f"failed: {reason}", stacklevel=2)
    for failure in outcome.failed:
        warnings.warn(f"not scored: {failure.name}: {failure.reason}", stacklevel=2)
    results = Results(tuple(scored), {failure.name: failure.reason for failure in outcome.failed}, request.single)
    if folder is not None:
        results.save_reports(folder)  # results are written one by one
    return results


_PASSED_ON = tuple(
    o.name for o in OPTIONS if o.role.on_command_line and o.name not in ("outputs", "preprocess", "cache")
)
"""Options that are passed on unchanged."""


def _complete_signature(function: Callable[..., Any]) -> inspect.Signature:
    """The signature of ``score`` with every declared option and its default, for ``help`` and notebooks."""
    signature = inspect.signature(function)
    *written, _ = signature.parameters.values()
    declared = [
        inspect.Parameter(o.name, inspect.Parameter.KEYWORD_ONLY, default=initial_value(o), annotation=o.hint)
        for o in OPTIONS
        if o.name in _PASSED_ON
    ]
    return signature.replace(parameters=[*written, *declared])


score.__signature__ = _complete_signature(score)  # type: ignore[attr-defined]


def _unknown_option(name: str) -> UsageError:
    """The error of an unknown option, with the nearest one if one is near."""
    known = inspect.signature(score).parameters
    otherwise = "help(camtrace.score) names the options"
    return unknown_name("option", name, known, other_names=OPTIONS_MEANT, otherwise=otherwise)


def _bytes(memory: int | str | None) -> int | None:
    """Bytes of an amount of memory, such as 8000000000 or ``"8G"``."""
    if not isinstance(memory, str):
        return memory
    try:
        return size_in_bytes(memory)
    except ArgumentTypeError as error:
        raise UsageError(f"memory {error}") from None


def _of_object(thing: Any, *, before_conversion: Callable[[Encoder], object] | None = None, **how: Any) -> Encoder:
    """An object in memory as an encoder. ``before_conversion`` is not called: such code is first tried in the run."""
    return as_encoder(thing, **how)


def _named(encoders: Any) -> dict[str, Any]:
    """Encoders by a unique name. Results take the encoders' own names."""
    if isinstance(encoders, Mapping):
        return {str(name): thing for name, thing in encoders.items()}
    things = list(encoders) if isinstance(encoders, list | tuple) else [encoders]
    by_name: dict[str, Any] = {}
    for number, thing in enumerate(things, 1):
        if isinstance(thing, str):
            by_name[thing] = thing
        else:
            kind = getattr(thing, "__name__", type(thing).__name__)
            by_name[kind if kind not in by_name else f"{kind}, number {number}"] = thing
    return by_name
