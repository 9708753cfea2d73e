"""A sweep at work: groups of encoders through shared passes, rows for what was scored, kept or failed."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.bank import PhotoHashes
from benchmark.encoders import Encoder, Runtime, list_encoders, load_encoder, with_unique_id
from benchmark.options import RunOptions
from benchmark.report import markdown_table
from benchmark.results import Result, answers_changed, folder_name, read_result
from benchmark.scoring.estimating import release
from benchmark.scoring.output import write_reports, write_scored
from benchmark.scoring.reproduce import Invocation, encoder_record, options_record, recorded, reproduce_command
from benchmark.scoring.run import score_encoders
from benchmark.tasks import Task
from builders.errors import CamtraceError, DataError
from builders.files import write_text_atomically
from builders.photos import PhotoSet
from builders.pixels import codec_canary
from builders.untrusted import error_text, readable

SWEEP_FILE = "sweep.json"


@dataclass(frozen=True)
class SweepJob:
    """One photo set and what is asked of it."""

    photos: PhotoSet
    tasks: tuple[Task, ...]
    spec: str
    """As it was asked for."""


@dataclass(frozen=True)
class Row:
    """What became of one encoder on one photo set."""

    spec: str
    data: str
    state: str
    """``scored``, ``partial`` (there is a result, but a task or many photos failed), ``kept`` (a finished result of
    exactly this question was there) or ``failed``."""
    reason: str
    """What failed, one sentence each; else empty."""
    folder: str
    """Below the output; empty without a result."""
    result: Result | None = None


def groups_of(specs: Sequence[str], together: int) -> list[list[str]]:
    """Encoders in groups that share a pass: those of one input size stand together, since their views may be equal.

    >>> groups_of(["facebook/dino-vits8", "timm/vit_base_patch16_siglip_256.webli", "facebook/dino-vits16"], 2)
    [['facebook/dino-vits8', 'facebook/dino-vits16'], ['timm/vit_base_patch16_siglip_256.webli']]
    """
    known = {row.spec: row for row in list_encoders()}

    def kind(spec: str) -> tuple[int, str]:
        row = known.get(spec)
        return (row.input_px or 0, row.library) if row else (1 << 30, "")

    ordered = sorted(specs, key=kind)
    return [ordered[i : i + together] for i in range(0, len(ordered), together)]


def run_sweep(
    groups: Sequence[Sequence[str]],
    jobs: Sequence[SweepJob],
    options: RunOptions,
    loading: Mapping[str, Any],
    output: Path,
    *,
    origin: Invocation,
    say: Callable[[str], object],
) -> list[Row]:
    """Score every encoder on every photo set; write each result when it is there, and the state after each group.

    Args:
        groups: of specs; the encoders of a group are in memory together and share passes.
        jobs: photo sets with their tasks.
        options: of all runs.
        loading: keyword arguments of ``load_encoder``.
        output: results go to ``<encoder>/<data>/`` below it.
        origin: tasks, and whether code of repositories is trusted, for the record of how to repeat a row.
        say: hears what is being done, and what was there already.
    """
    rows: list[Row] = []
    hashes = {job.photos.name: PhotoHashes(job.photos, options.cache) for job in jobs}
    taken: dict[str, str] = {}
    for number, group in enumerate(groups, 1):
        say(f"group {number} of {len(groups)}: {', '.join(group)}")
        encoders: dict[str, Encoder] = {}
        for spec in group:
            try:
                encoders[spec] = with_unique_id(load_encoder(spec, **loading), taken)
            except Exception as error:  # whatever a library raises on somebody's weights: a row, not the end
                rows += [Row(spec, job.photos.name, "failed", error_text(error), "") for job in jobs]
                print(readable(f"camtrace: {spec}: {error_text(error)}"), file=sys.stderr)
            else:
                for notice in encoders[spec].notices:
                    say(f"camtrace: {notice}")
        for job in jobs if encoders else []:
            rows += _score_group(encoders, job, hashes[job.photos.name], options, output, origin, say)
        del encoders
        release()
        write_text_atomically(output / SWEEP_FILE, _state(rows))
    results = [row.result for row in rows if row.result is not None]
    failed = {f"{row.spec} on {row.data}": row.reason for row in rows if row.state == "failed"}
    write_reports(results, failed, output, [job.photos for job in jobs])
    return rows


def sweep_text(rows: Sequence[Row], output: Path) -> str:
    """What became of every row, for people."""
    table = [[row.spec, row.data, row.state, ": ".join(filter(None, (row.folder, row.reason)))] for row in rows]
    counts = {state: sum(row.state == state for row in rows) for state in ("scored", "partial", "kept", "failed")}
    said = ", ".join(f"{count} {state}" for state, count in counts.items() if count or state != "partial")
    return (
        f"{markdown_table(['encoder', 'data', 'state', 'where or why'], table)}\n\n{said}. "
        f"Written to {output}: report.html, report.md, {SWEEP_FILE}, <encoder>/<data>/result.json"
    )


def _score_group(
    encoders: Mapping[str, Encoder],
    job: SweepJob,
    hashes: PhotoHashes,
    options: RunOptions,
    output: Path,
    origin: Invocation,
    say: Callable[[str], object],
) -> list[Row]:
    rows: dict[str, Row] = {}
    missing: dict[str, Encoder] = {}
    for spec, encoder in encoders.items():
        folder = Path(folder_name(encoder.info.id)) / folder_name(job.photos.name)
        kept = None if options.fresh else finished(output / folder, encoder, job, hashes, options)
        if kept is None:
            missing[spec] = encoder
        else:
            rows[spec] = Row(spec, job.photos.name, "kept", _what_failed(kept), folder.as_posix(), kept)
            say(f"kept: {spec} on {job.photos.name} ({kept.created})")
    if missing:
        try:
            scored = score_encoders(list(missing.values()), job.photos, job.tasks, options, hashes=hashes, tell=say)
        except CamtraceError as error:
            return [rows.get(s) or Row(s, job.photos.name, "failed", str(error), "") for s in encoders]
        for spec, one in zip(missing, scored, strict=True):
            own = dataclasses.replace(origin, model=spec, data=job.spec)
            result = recorded(one.result, reproduce_command(own, missing[spec].info, job.photos, options))
            reason = _what_failed(result)
            if not result.scores:
                rows[spec] = Row(spec, job.photos.name, "failed", reason or "no task gave a score", "")
                continue
            folder = write_scored(dataclasses.replace(one, result=result), output, single=False)
            where = folder.relative_to(output).as_posix()
            rows[spec] = Row(spec, job.photos.name, "partial" if reason else "scored", reason, where, result)
    return [rows[spec] for spec in encoders]


def _what_failed(result: Result) -> str:
    """Besides single photos."""
    return "; ".join(f.reason for f in result.failures if f.kind != "photo")


def finished(folder: Path, encoder: Encoder, job: SweepJob, hashes: PhotoHashes, options: RunOptions) -> Result | None:
    """The result in a folder, if it answers exactly this question in full: same weights, photos, options and codec.

    An encoder whose computation nobody can identify (a plain function without ``cache_key``) is never taken as done.
    """
    if encoder.info.weights_sha256 is None or not (folder / "answers.npz").is_file():
        return None
    try:
        result = read_result(folder / "result.json")
    except DataError:
        return None
    if answers_changed(result, folder):
        print(f"camtrace: warning: {folder}: its answers are not those of its result; made again", file=sys.stderr)
        return None
    environment, data = result.environment, result.data
    gate = environment.get("precision_gate") or {"passed": True}
    if not gate.get("passed") and not options.force_dtype:
        return None
    wanted = {
        "encoder": encoder_record(encoder),
        "photos": (job.photos.question_hash(), hashes.bytes_hash()),
        "options": options_record(options, job.photos),
        "dtype": (encoder.dtype, options.storage, encoder.compiled),
        "codec": codec_canary(),
        "runtime": _library(encoder.runtime),
        "tasks": {task.name for task in job.tasks},
    }
    there = {
        "encoder": result.encoder,
        "photos": (data.get("question_hash"), data.get("bytes_hash")),
        "options": environment.get("options"),
        "dtype": (environment.get("dtype"), environment.get("storage"), environment.get("compiled", False)),
        "codec": environment.get("codec_canary"),
        "runtime": _library_of(environment.get("runtime") or {}, encoder.runtime, options),
        "tasks": {score.task for score in result.scores},
    }
    return result if _plain(wanted) == _plain(there) else None


def _library(runtime: Runtime | None) -> tuple[str, str] | None:
    """Another library than torch that carries out a network, and its version: it rounds in another way."""
    return None if runtime is None or runtime.name == "torch" else (runtime.name, runtime.version)


def _library_of(
    recorded: Mapping[str, Any], wanted: Runtime | None, options: RunOptions
) -> tuple[str | None, str | None] | None:
    """The same as a result has it. One by torch is what ``auto`` gives where it refused the other on these photos."""
    if recorded.get("name", "torch") != "torch":
        return recorded.get("name"), recorded.get("version")
    refused = (recorded.get("on_photos") or {}).get("passed") is False
    return _library(wanted) if refused and options.runtime == "auto" else None


def _plain(value: object) -> Any:
    """As JSON reads it back."""
    return json.loads(json.dumps(value, default=sorted))


def _state(rows: Sequence[Row]) -> str:
    plain = [{k: v for k, v in vars(row).items() if k != "result"} for row in rows]
    return json.dumps({"rows": plain}, indent=2, ensure_ascii=False) + "\n"
