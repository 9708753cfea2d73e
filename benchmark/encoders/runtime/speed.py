"""The choice of ``--runtime auto``: the faster library, measured once per network and machine and cached on disk.

Torch and the other library embed the same views in turns. The other one is chosen where its processor time is at most
1 / ``LEAST`` of torch's. A few views decide where one library is ``CLEAR`` times as fast as the other, twice in a row;
else the median over ``ROUNDS`` with more views decides. Processor time counts all threads of this process, so that
other processes on the machine do not decide.

The choice, or the reason why a network cannot be converted, is stored under a key of the network, the versions, the
processor and the number of threads. A second run neither converts nor measures again.
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

from benchmark.compute import read_record, write_record
from benchmark.encoders.encoder import EncoderInfo
from benchmark.encoders.runtime.cache import package_versions

LEAST = 1.05
"""Times as fast as torch that another library must be; measurements on a busy machine err by as much."""

CLEAR = 1.4
"""Ratio of times above which two measurements with a few views decide. Torch is slower with few views: of four
networks, 12 measurements each on a busy machine (load 4 to 8), the smaller of two in a row was up to 1.19 times the
ratio of rounds of 16 views, a single one 0.92 to 1.47 times."""

ROUNDS = 3
SECONDS = 0.5
"""Approximate processor time of torch in one round; ``FEWEST`` views of a large network take longer."""

FEWEST = 4
"""Smallest number of views in a round; the largest is ``MOST`` per thread. Passes repeat to fill ``SECONDS``."""
MOST = 8
MOST_PASSES = 64

CODE = ("camtrace", "openvino", "onnxruntime", "torch", "torchvision", "timm", "transformers", "open_clip_torch")
"""Packages whose version may change the embeddings of a network with the same weights, or its speed."""

CPU_INFO = Path("/proc/cpuinfo")

Embed = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Choice:
    """The choice for one network, one library and one machine."""

    reason: str
    """Why torch was chosen; empty for the other library."""
    speed: float | None = None
    """Times as fast as torch, in processor time; None where the network could not be measured."""


def times_as_fast(by_torch: Embed, by_other: Embed, views: torch.Tensor) -> float:
    """Torch's processor time over another library's for the same views.

    Of two measurements with these views the one nearer to 1, if both exceed ``CLEAR`` in one direction; else the median
    over ``ROUNDS`` rounds of more views.

    Args:
        by_torch: [n, ...] -> embeddings.
        by_other: the same by the other library.
        views: [n, ...], a few, which torch has embedded before; repeated or cut to the size of a round.
    """
    by_other(views)  # a first call allocates memory, which should not count
    seconds = _turn(by_torch, by_other, views)
    first = _ratio(seconds)
    if not 1 / CLEAR < first < CLEAR:
        second = _ratio(_turn(by_torch, by_other, views))
        if min(first, second) >= CLEAR:
            return min(first, second)
        if max(first, second) <= 1 / CLEAR:
            return max(first, second)
    each = seconds[0] / len(views)
    count = min(max(FEWEST, int(SECONDS / max(each, 1e-9))), MOST * torch.get_num_threads())
    batch = _repeated(views, max(count, FEWEST))
    passes = min(max(1, round(SECONDS / max(each * len(batch), 1e-9))), MOST_PASSES)
    return statistics.median(_ratio(_turn(by_torch, by_other, batch, passes)) for _ in range(ROUNDS))


def choice_of(speed: float, title: str) -> Choice:
    """The choice that follows from a measured speed.

    Args:
        speed: times as fast as torch.
        title: of the other library, for the reason.

    >>> choice_of(1.9, "OpenVINO").reason, choice_of(1.04, "OpenVINO").reason
    ('', 'OpenVINO is 1.04 times as fast as torch here, and 1.05 times is required')
    """
    speed = float(f"{speed:.3g}")
    slow = f"{title} is {speed:g} times as fast as torch here, and {LEAST:g} times is required"
    return Choice("" if speed >= LEAST else slow, speed)


def choice_file(folder: Path, name: str, info: EncoderInfo, views: torch.Tensor) -> Path | None:
    """File of a stored choice; None for a network whose weights are not identified.

    Args:
        folder: of compiled networks.
        name: of the other library.
        info: of the encoder.
        views: [n, ...] as the network takes them.
    """
    if info.weights_sha256 is None:
        return None
    parts = {
        "runtime": name,
        "encoder": asdict(info) | {"preprocessing": dict(info.preprocessing), "details": dict(info.details)},
        "view": [list(views.shape[1:]), str(views.dtype)],
        "versions": package_versions(CODE),
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "rule": [LEAST, CLEAR, ROUNDS, SECONDS, FEWEST, MOST],
    }
    key = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:20]
    return folder / f"{key}.choice.json"


def cached_choice(file: Path | None) -> Choice | None:
    """The stored choice; None where there is none, or none that can be read."""
    choice = None if file is None else read_record(file, Choice)
    return choice if choice is not None and (choice.reason or choice.speed) else None


def store_choice(file: Path | None, choice: Choice) -> None:
    """Store a choice for the next run. After a failure to write, the next run measures again."""
    if file is not None:
        with contextlib.suppress(OSError):
            write_record(file, choice)


def _turn(by_torch: Embed, by_other: Embed, views: torch.Tensor, passes: int = 1) -> tuple[float, float]:
    """Processor seconds of (torch, the other library)."""
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
    """Model and features of the processor, as the operating system reports them."""
    entries: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in CPU_INFO.read_text(encoding="ascii", errors="replace").splitlines():
            name, _, value = line.partition(":")
            entries.setdefault(name.strip(), value.strip())
    names = ("vendor_id", "cpu family", "model", "model name", "flags")
    facts: dict[str, Any] = {name: entries[name] for name in names if name in entries}
    return facts or {"machine": platform.machine(), "processor": platform.processor()}
