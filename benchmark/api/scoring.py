"""``camtrace.score``: the scoring command as a function, for specifications and for objects in memory."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from benchmark.api.results import Results
from benchmark.encoders import Encoder, as_encoder, is_module, load_encoder
from benchmark.erasing import Erasing
from benchmark.options import (
    DEFAULT_DATA,
    DEFAULT_MODEL,
    OPTIONS,
    RunOptions,
    default_arguments,
    loading_options,
    to_run_options,
)
from benchmark.scoring import EncoderSource, Log, Request, Scored, run_request
from builders.errors import EncoderError, UsageError, unknown_name
from builders.photos import PhotoSet

if TYPE_CHECKING:
    from torch import nn

    EncoderLike = str | Encoder | nn.Module | Callable[[Any], Any]

_DEFAULTS = RunOptions()


def score(
    encoders: EncoderLike | Sequence[EncoderLike] | Mapping[str, EncoderLike] = DEFAULT_MODEL,
    *,
    data: str | PhotoSet | Sequence[str | PhotoSet] = DEFAULT_DATA,
    tasks: str | Sequence[str] = (),
    outputs: str | Sequence[str] | None = None,
    eraser: str | Path | None = None,
    preset: str | None = None,
    preprocess: str | Callable[[Any], Any] | None = None,
    limit: int | None = None,
    protocol: str | None = None,
    readers: str = _DEFAULTS.readers,
    ties: str | None = None,
    orientation: str | None = None,
    neighbours: int | None = None,
    queries: int | None = None,
    mask_ratio: float = _DEFAULTS.mask_ratio,
    seed: int = _DEFAULTS.seed,
    device: str = _DEFAULTS.device,
    dtype: str = _DEFAULTS.dtype,
    storage: str = _DEFAULTS.storage,
    force_dtype: bool = False,
    allow_random: bool = False,
    compile: bool = False,
    runtime: str = _DEFAULTS.runtime,
    batch_size: int = _DEFAULTS.batch_size,
    workers: int = _DEFAULTS.workers,
    views: str = _DEFAULTS.views,
    memory: int | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
    cache: str | Path | None = None,
    fresh: bool = False,
    output: str | Path | None = None,
    **unknown: NoReturn,
) -> Results:
    """Score what encoders keep of the camera and the codec.

    Args:
        encoders: one or several: what ``--model`` takes, a ``torch.nn.Module`` (with ``preprocess``), a function from
            an RGB ``PIL.Image`` to a vector, or an ``Encoder``. A mapping gives names to those that have none.
        data: one or several: what ``--data`` takes, or photo sets.
        tasks: patterns such as ``"probe/*"``; all that the photos can answer by default.
        outputs: layers scored beside the embedding: ``"layers"``, ``"layers[::4]:mean,cls"``, or several of them.
        eraser: a folder that ``camtrace erase`` wrote, or ``OWNER/NAME`` on the Hub: in place before any score.
        preset: ``"camtrace"`` (ours, the default) or ``"iccv2025"`` (the published study's); decides ``protocol``,
            ``preprocess``, ``ties`` and ``orientation`` where they are not given.
        preprocess: ``"own"``, ``"study"``, ``"short-side"`` or ``"squash"``, of every encoder; or, of modules in
            memory, RGB ``PIL.Image`` -> tensor, as for their evaluation. With a word, a module in memory needs an
            attribute ``preprocess``.
        output: a folder for what the command would write. Without it nothing is written but the bank of embeddings.

    The other options are those of ``camtrace score``, with the same names and defaults; ``camtrace score --help``
    explains them.

    Returns:
        Every score. What was asked for and failed is in ``failures``, and a warning if it is an encoder or a data set.

    Raises:
        UsageError: the request is wrong: a name, a value, an option (with the nearest one).
        EncoderError, DataError: the only encoder, or the only data set, cannot be used.

    >>> score(batchsize=8)
    Traceback (most recent call last):
    ...
    builders.errors.UsageError: unknown option 'batchsize': did you mean 'batch_size'?
    """
    given = {**locals(), **unknown}
    for name in unknown:
        if name not in _PASSED_ON:
            raise unknown_name("option", name, {*inspect.signature(score).parameters, *_PASSED_ON} - {"unknown"})
    args = default_arguments()
    vars(args).update({name: given[name] for name in _PASSED_ON if name in given}, trust_remote_code=trust_remote_code)
    transform = None if preprocess is None or isinstance(preprocess, str) else preprocess
    mode = preprocess if isinstance(preprocess, str) else None
    beside = [outputs] if isinstance(outputs, str) else list(outputs or ())
    vars(args).update(preprocess=mode, outputs=beside, tasks=[tasks] if isinstance(tasks, str) else list(tasks))
    if cache is not None:
        args.cache = Path(cache)
    named = _named(encoders)
    sets = [data] if isinstance(data, str | PhotoSet) else list(data)
    if not named or not sets:
        raise UsageError("nothing to score: give at least one encoder and one data set")
    specs = [thing for thing in named.values() if isinstance(thing, str)]
    if revision is not None and len(specs) != 1:
        raise UsageError("revision goes with one encoder of the Hub; with several, write each as NAME@REVISION")
    loading = loading_options(args)
    in_memory = {name: value for name, value in loading.items() if name not in ("trust_remote_code", "preprocess")}
    in_memory["mode"] = loading["preprocess"]
    sources: dict[str, EncoderSource] = {}
    for name, thing in named.items():
        if isinstance(thing, str):
            sources[name] = EncoderSource(partial(load_encoder, thing, revision=revision, **loading), thing)
        else:
            own = name if isinstance(encoders, Mapping) else ""
            its = transform if is_module(thing) else None
            load = partial(_of_object, thing, name=own, preprocess=its, **in_memory)
            sources[name] = EncoderSource(load, None)
    if transform is not None and not any(map(is_module, named.values())):
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
    failed = {f.name: f.reason for one in scored for f in one.result.failures if f.kind == "encoder"}
    if failed and not any(one.result.scores for one in scored):
        raise EncoderError(next(iter(failed.values())))
    for reason in failed.values():
        warnings.warn(f"failed: {reason}", stacklevel=2)
    for failure in outcome.failed:
        warnings.warn(f"not scored: {failure.name}: {failure.reason}", stacklevel=2)
    results = Results(tuple(scored), {failure.name: failure.reason for failure in outcome.failed}, request.single)
    if folder is not None:
        results.save_reports(folder)  # each result was written when it was there
    return results


_PASSED_ON = tuple(
    o.name for o in OPTIONS if o.role.on_command_line and o.name not in ("outputs", "preprocess", "cache")
)
"""Options that are passed on as they are. One that is declared and not yet written in the signature is accepted too."""


def _of_object(thing: Any, *, trying: Callable[[Encoder], object] | None = None, **how: Any) -> Encoder:
    """It may be somebody's code, of which nothing is made before it has been tried."""
    return as_encoder(thing, **how)


def _named(encoders: Any) -> dict[str, Any]:
    """Encoders by a name that tells them apart here; results name them as the encoders themselves do."""
    if isinstance(encoders, Mapping):
        return {str(name): thing for name, thing in encoders.items()}
    things = list(encoders) if isinstance(encoders, list | tuple) else [encoders]
    named: dict[str, Any] = {}
    for number, thing in enumerate(things, 1):
        if isinstance(thing, str):
            named[thing] = thing
        else:
            kind = getattr(thing, "__name__", type(thing).__name__)
            named[kind if kind not in named else f"{kind}, number {number}"] = thing
    return named
