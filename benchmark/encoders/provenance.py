"""What is known about how an encoder was trained: the study's table first, then what its own metadata says."""

from __future__ import annotations

import re
from typing import NamedTuple

from benchmark.encoders.study import STUDY

_CONTRASTIVE = re.compile(r"clip|siglip|align|coca", re.IGNORECASE)


class Training(NamedTuple):
    """How an encoder was trained."""

    group: str
    """One of ``encoder.GROUPS``."""
    data: str


def group_and_data(name: str, *, contrastive: bool = False, architecture: str = "", classes: int = 0) -> Training:
    """The group and training data of an encoder; ``unknown`` rather than a guess.

    Args:
        name: its id; a revision after ``@`` is not looked at.
        contrastive: it has a text tower beside its image tower.
        architecture: its architecture's name, for towers that were saved alone.
        classes: number of classes of its classifier; with one it was trained, or at last fine-tuned, with labels.

    >>> group_and_data("facebook/dino-vits16")
    Training(group='SSL', data='ImageNet-1k')
    """
    for row in STUDY:
        if row.spec == name.partition("@")[0]:
            return Training(row.group, row.training_data)
    if contrastive or _CONTRASTIVE.search(architecture):
        return Training("CVL", "unknown")
    return Training("SUP" if classes else "unknown", "unknown")
