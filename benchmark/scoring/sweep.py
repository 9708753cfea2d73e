"""Which finished results a sweep reuses.

A finished result is reused for exactly the same encoder, photos, tasks and options. Which options count follows from
their roles: each that affects scores. A result records most of them under ``environment.options``; where it records the
others, ``RECORDED_ELSEWHERE`` says.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmark.bank import PhotoHashes
from benchmark.encoders import Encoder, Layered, Runtime, with_outputs
from benchmark.options import OPTIONS, RunOptions
from benchmark.results import Result, answers_changed, folder_name, read_result
from benchmark.scoring.reproduce import encoder_record, options_record
from benchmark.scoring.request import OpenedSet
from builders.errors import CamtraceError, DataError
from builders.pixels import codec_canary
from builders.untrusted import may_pass


def finished_result(
    output: Path, encoder: Encoder, opened: OpenedSet, hashes: PhotoHashes, options: RunOptions
) -> tuple[Path, Result] | None:
    """The finished result of an encoder on a photo set, if it answers exactly this question in full.

    A result without photos that a disk did not give is not finished: they may be there now. An encoder whose
    computation cannot be identified (a plain function without ``cache_key``) is never finished.

    Args:
        output: folder of the sweep.
        encoder: loaded, under its unique id.
        opened: the photo set and its tasks.
        hashes: of the photos.
        options: of the run.

    Returns:
        The result's folder below ``output``, and the result; None if there is none, or one of another question.
    """
    folder = Path(folder_name(encoder.info.id)) / folder_name(opened.photos.name)
    if encoder.info.weights_sha256 is None or not (output / folder / "answers.npz").is_file():
        return None
    try:
        result = read_result(output / folder / "result.json")
    except DataError:
        return None
    if any(failure.kind == "photo" and may_pass(failure.reason) for failure in result.failures):
        return None
    if answers_changed(result, output / folder):
        changed = "its answers are not those of its result; made again"
        print(f"camtrace: warning: {output / folder}: {changed}", file=sys.stderr)
        return None
    gate = result.environment.get("precision_gate") or {"passed": True}
    if not gate.get("passed") and not options.force_dtype:
        return None
    try:
        layered = with_outputs(encoder, options.outputs) if options.outputs else None
    except CamtraceError:  # the run reports it
        return None
    wanted = _Wanted(layered.encoder if layered else encoder, layered, opened, options)
    same = _json(_wanted_facts(wanted, hashes)) == _json(_recorded_facts(result, wanted))
    return (folder, result) if same else None


@dataclass(frozen=True)
class _Wanted:
    """A result as it would be made now."""

    encoder: Encoder
    """As it would be used: of several outputs the encoder that gives them together."""
    layered: Layered | None
    opened: OpenedSet
    options: RunOptions

    @property
    def tasks(self) -> set[str]:
        return {task.name for task in self.opened.tasks}


@dataclass(frozen=True)
class _Recorded:
    """Where a result records the effect of an option, in values that can be compared."""

    wanted: Callable[[_Wanted], object]
    recorded: Callable[[Result, _Wanted], object]


def _outputs_wanted(wanted: _Wanted) -> object:
    outputs = wanted.layered.outputs if wanted.layered else ()
    return [(output.name, output.read, wanted.tasks) for output in outputs]


def _library(runtime: Runtime | None) -> tuple[str, str] | None:
    """Another library than torch that computes a network, and its version: it rounds in another way."""
    return None if runtime is None or runtime.name == "torch" else (runtime.name, runtime.version)


def _library_of(
    recorded: Mapping[str, Any], wanted: Runtime | None, options: RunOptions
) -> tuple[str | None, str | None] | None:
    """The same as a result has it. One by torch is what ``auto`` gives where it refused the other on these photos."""
    if recorded.get("name", "torch") != "torch":
        return recorded.get("name"), recorded.get("version")
    refused = (recorded.get("on_photos") or {}).get("passed") is False
    return _library(wanted) if refused and options.runtime == "auto" else None


def _device_type(recorded: object) -> str:
    """Type of a device that a result records by its type, or a GPU by its name.

    >>> _device_type("cpu"), _device_type("NVIDIA H100 80GB HBM3")
    ('cpu', 'cuda')
    """
    name = str(recorded).partition(":")[0]
    return name if name in ("cpu", "mps") else "cuda"


RECORDED_ELSEWHERE: Mapping[str, _Recorded] = MappingProxyType(
    {
        "device": _Recorded(
            lambda wanted: wanted.encoder.device.partition(":")[0],
            lambda result, wanted: _device_type(result.environment.get("device")),
        ),
        "dtype": _Recorded(lambda wanted: wanted.encoder.dtype, lambda result, wanted: result.environment.get("dtype")),
        "storage": _Recorded(
            lambda wanted: wanted.options.storage, lambda result, wanted: result.environment.get("storage")
        ),
        "compile": _Recorded(
            lambda wanted: wanted.encoder.compiled, lambda result, wanted: result.environment.get("compiled", False)
        ),
        "runtime": _Recorded(
            lambda wanted: _library(wanted.encoder.runtime),
            lambda result, wanted: _library_of(
                result.environment.get("runtime") or {}, wanted.encoder.runtime, wanted.options
            ),
        ),
        "outputs": _Recorded(
            _outputs_wanted,
            lambda result, wanted: [(o.name, o.read, {score.task for score in o.scores}) for o in result.outputs],
        ),
    }
)
"""By name, the options that affect scores and are not under ``environment.options`` of a result."""


def options_without_record() -> list[str]:
    """Options that affect scores and that no finished result could be compared by; there must be none."""
    deciding = (o for o in OPTIONS if o.role.affects_scores and o.role.in_result == "no")
    return [option.name for option in deciding if option.name not in RECORDED_ELSEWHERE]


if _unknown := options_without_record():
    raise TypeError(f"{', '.join(_unknown)}: affects scores; say in RECORDED_ELSEWHERE where results record it")


def _wanted_facts(wanted: _Wanted, hashes: PhotoHashes) -> dict[str, object]:
    """Everything that decides a result."""
    photos = wanted.opened.photos
    return {
        "encoder": encoder_record(wanted.encoder),
        "photos": (photos.question_hash(), hashes.bytes_hash()),
        "tasks": wanted.tasks,
        "codec": codec_canary(),
        "options": options_record(wanted.options, photos),
        **{name: recorded.wanted(wanted) for name, recorded in RECORDED_ELSEWHERE.items()},
    }


def _recorded_facts(result: Result, wanted: _Wanted) -> dict[str, object]:
    """The same as a result records it."""
    return {
        "encoder": result.encoder,
        "photos": (result.data.get("question_hash"), result.data.get("bytes_hash")),
        "tasks": {score.task for score in result.scores},
        "codec": result.environment.get("codec_canary"),
        "options": result.environment.get("options"),
        **{name: recorded.recorded(result, wanted) for name, recorded in RECORDED_ELSEWHERE.items()},
    }


def _json(value: object) -> Any:
    """A value as JSON reads it back, sets as sorted lists."""
    return json.loads(json.dumps(value, default=sorted))
