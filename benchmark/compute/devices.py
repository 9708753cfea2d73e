"""Which devices a run was given: one, a list of them, or every CUDA card that this process may see."""

from __future__ import annotations

import torch

from builders.errors import UsageError

ALL_CARDS = "cuda:all"


def named_devices(asked: str) -> tuple[str, ...]:
    """What ``--device`` names, one after the other; words that name one device are given back as they are.

    Args:
        asked: ``cuda:all`` (those of ``CUDA_VISIBLE_DEVICES``, where that is set), several with commas between them,
            such as ``cuda:0,cuda:2``, or one.

    Raises:
        UsageError: there is no card, or one of them is not here; they are of different types, which round differently.

    >>> named_devices("auto"), named_devices("cpu,cpu")
    (('auto',), ('cpu', 'cpu'))
    """
    if asked != ALL_CARDS and "," not in asked:
        return (asked,)
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if asked == ALL_CARDS:
        if not cards:
            raise UsageError(
                f"--device {asked}: there is no CUDA card here (or CUDA_VISIBLE_DEVICES hides all of them)"
            )
        return tuple(f"cuda:{index}" for index in range(cards))
    named = tuple(name.strip() for name in asked.split(","))
    try:
        found = [torch.device(name) for name in named]
    except RuntimeError:
        raise UsageError(f"--device {asked}: give devices such as cuda:0,cuda:2, or cuda:all") from None
    if len({device.type for device in found}) > 1:
        raise UsageError(f"--device {asked}: devices of one type share a run, others round differently")
    if found[0].type == "cuda" and (missing := [d for d in found if d.index is None or d.index >= cards]):
        raise UsageError(f"--device {asked}: {missing[0]} is not one of the {cards} cards here (cuda:0, cuda:1, ...)")
    if found[0].type == "cuda" and len(set(named)) < len(named):
        raise UsageError(f"--device {asked}: each card once")
    return named
