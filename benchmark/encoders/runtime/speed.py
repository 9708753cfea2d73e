"""Which library ``--runtime auto`` leaves a network to: the faster one, measured once on this machine and kept on disk.

The rule: torch and the other library embed the same views in turns; the other one is taken where its processor time is
at most 1 / ``LEAST`` of torch's. A look at a few views decides where one is ``CLEAR`` times as fast as the other, twice
in a row; else the median over ``ROUNDS`` of more views does. Processor time is that of all threads of this process, so
that neighbours on the machine do not decide. The verdict, or the reason why a network cannot be converted, is kept
under a key of the network, the versions, the processor and the number of threads: a second run neither converts nor
measures again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmark.compute import library_version, read_record, write_record
from benchmark.encoders.encoder import EncoderInfo

LEAST = 1.05
"""Times as fast as torch that another library must be to be taken: a measurement on a busy machine errs by so much."""

CLEAR = 1.4
"""Times as fast as torch, or torch as it, from which two looks at a few views decide. Torch is slower with few: of four
networks, 12 looks each on a busy machine (load 4 to 8), the smaller of two in a row was up to 1.19 times what rounds of
16 views found, one alone 0.92 to 1.47 times."""

ROUNDS = 3
SECONDS = 0.5
"""Processor time of torch in one round, about; the fewest views of a large network take longer."""

FEWEST = 4
"""Views in a round, at least; at most ``MOST`` for each thread, in as many passes as the time takes."""
MOST = 8
MOST_PASSES = 64

CODE = ("camtrace", "openvino", "onnxruntime", "torch", "torchvision", "timm", "transformers", "open_clip_torch")
"""Packages whose version may change what a network of the same weights computes, or how fast."""

CPU_INFO = Path("/proc/cpuinfo")

Embed = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Choice:
    """What was decided for one network, one library and one machine."""

    reason: str
    """Why torch; empty where the other library is taken."""
    speed: float | None = None
    """Times as fast as torch, in processor time; None where the network could not be tried."""


def times_as_fast(by_torch: Embed, by_other: Embed, views: torch.Tensor) -> float:
    """Torch's processor time over another library's where both embed the same views.

    The nearer to 1 of two looks at these views, if both say that one is ``CLEAR`` times as fast as the other; else the
    median over ``ROUNDS`` rounds of more.

    Args:
        by_torch: [n, ...] -> embeddings.
        by_other: the same by the other library.
        views: [n, ...], a few, which torch has embedded before; repeated or cut to as many as a round takes.
    """
    by_other(views)  # in the chunks that it is given now: what a first call allocates is nobody's time
    seconds = _turn(by_torch, by_other, views)
    look = _ratio(seconds)
    if not 1 / CLEAR < look < CLEAR:
        again = _ratio(_turn(by_torch, by_other, views))
        if min(look, again) >= CLEAR:
            return min(look, again)
        if max(look, again) <= 1 / CLEAR:
            return max(look, again)
    each = seconds[0] / len(views)
    count = min(max(FEWEST, int(SECONDS / max(each, 1e-9))), MOST * torch.get_num_threads())
    batch = _repeated(views, max(count, FEWEST))
    passes = min(max(1, round(SECONDS / max(each * len(batch), 1e-9))), MOST_PASSES)
    return statistics.median(_ratio(_turn(by_torch, by_other, batch, passes)) for _ in range(ROUNDS))


def choice_of(speed: float, title: str) -> Choice:
    """By the rule.

    >>> choice_of(1.9, "OpenVINO").reason, choice_of(1.04, "OpenVINO").reason
    ('', 'OpenVINO is 1.04 times as fast as torch here, and 1.05 times is asked for')
    """
    speed = float(f"{speed:.3g}")
    slow = f"{title} is {speed:g} times as fast as torch here, and {LEAST:g} times is asked for"
    return Choice("" if speed >= LEAST else slow, speed)


def choice_file(folder: Path, name: str, info: EncoderInfo, views: torch.Tensor) -> Path | None:
    """Where a choice is kept; None for a network whose weights nobody can identify.

    Args:
        folder: of compiled networks.
        name: of the other library.
        info: of the encoder.
        views: [n, ...] as the network takes them.
    """
    if info.weights_sha256 is None:
        return None
    versions = {package: version for package in CODE if (version := library_version(package)) is not None}
    about = {
        "runtime": name,
        "encoder": asdict(info) | {"preprocessing": dict(info.preprocessing), "details": dict(info.details)},
        "view": [list(views.shape[1:]), str(views.dtype)],
        "versions": versions,
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "rule": [LEAST, CLEAR, ROUNDS, SECONDS, FEWEST, MOST],
    }
    key = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()[:20]
    return folder / f"{key}.choice.json"


def cached_choice(file: Path | None) -> Choice | None:
    """What was decided before; None if nothing was, or nothing that can be read."""
    choice = None if file is None else read_record(file, Choice)
    return choice if choice is not None and (choice.reason or choice.speed) else None


def keep_choice(file: Path | None, choice: Choice) -> None:
    """For the next run; a full disk costs it the measurement."""
    if file is not None:
        with contextlib.suppress(OSError):
            write_record(file, choice)


def _turn(by_torch: Embed, by_other: Embed, views: torch.Tensor, passes: int = 1) -> tuple[float, float]:
    """Processor seconds of both."""
    return _seconds(by_torch, views, passes), _seconds(by_other, views, passes)


def _ratio(seconds: tuple[float, float]) -> float:
    by_torch, by_other = seconds
    return by_torch / max(by_other, 1e-9)


def _seconds(embed: Embed, views: torch.Tensor, passes: int) -> float:
    started = time.process_time()
    for _ in range(passes):
        embed(views)
    return time.process_time() - started


def _repeated(views: torch.Tensor, count: int) -> torch.Tensor:
    return views[torch.arange(count) % len(views)]


def _processor() -> dict[str, Any]:
    """Model and abilities of the processor, as its system says them."""
    said: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in CPU_INFO.read_text(encoding="ascii", errors="replace").splitlines():
            name, _, value = line.partition(":")
            said.setdefault(name.strip(), value.strip())
    names = ("vendor_id", "cpu family", "model", "model name", "flags")
    facts: dict[str, Any] = {name: said[name] for name in names if name in said}
    return facts or {"machine": platform.machine(), "processor": platform.processor()}
