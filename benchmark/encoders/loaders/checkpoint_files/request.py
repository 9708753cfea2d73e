"""``weights:PATH?arch=timm:NAME&...``: an encoder of a file or a folder of weights as a trainer wrote it.

====================  ==============================================================================================
``arch``              the network: ``timm:NAME``, ``torchvision:NAME``, ``open_clip:NAME``, or ``transformers:``
                      with a Hub repo or a folder that has its configuration; not needed where the training's record
                      names it
``arch.NAME``         an argument of the network, such as ``arch.global_pool=avg``
``prefix``            end of the prefix of the weights' names, where several have all weights
``ema``               ``true``: the moving average of the weights
``ignore``            beginnings of names of weights that belong to a head of the training, with commas
``size``, ``resize``, ``mean``, ``std``, ``interpolation``  preprocessing, where it is not the architecture's
``group``, ``training_data``  provenance, which the file does not have
====================  ==============================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmark.encoders.encoder import GROUPS
from benchmark.encoders.loaders.checkpoint_files.architectures import OPTION
from benchmark.encoders.preprocess.stated import STATED, Stated, stated
from builders.cli import parse_query
from builders.errors import UsageError, unknown_name

OPTIONS = ("arch", "prefix", "ema", "ignore", *STATED, "group", "training_data")
"""Options after ``?``, beside ``arch.NAME``."""

PREFIX = "weights:"


@dataclass(frozen=True)
class WeightsRequest:
    """A specification of weights, parsed."""

    path: Path
    options: Mapping[str, str]
    arguments: Mapping[str, str]
    """Values of ``arch.NAME``, by name."""
    preprocessing: Stated

    @property
    def ignored(self) -> tuple[str, ...]:
        """Beginnings of names."""
        return tuple(name for name in self.options.get("ignore", "").split(",") if name)


def parsed_request(spec: str) -> WeightsRequest:
    """Path and options of a specification, with or without ``weights:``.

    Raises:
        UsageError: an option is unknown, malformed or there twice.

    >>> parsed_request("weights:a.pth?arch=timm:resnet50&arch.global_pool=max&ignore=queue").arguments
    {'global_pool': 'max'}
    """
    text, _, query = spec.removeprefix(PREFIX).removeprefix("local-dir:").partition("?")
    named = dict(parse_query(query, spec)) if query else {}
    arguments = {name.removeprefix(OPTION): value for name, value in named.items() if name.startswith(OPTION)}
    options = {name: value for name, value in named.items() if not name.startswith(OPTION)}
    for name in options:
        if name not in OPTIONS:
            raise unknown_name("option of weights:", name, OPTIONS)
    if options.get("group", "unknown") not in GROUPS:
        raise unknown_name("group", options["group"], GROUPS)
    if options.get("ema", "false") not in ("true", "false"):
        raise UsageError(f"{spec}: ema is true or false")
    if not text:
        raise UsageError("weights: needs a file or a folder, as in weights:model.pth?arch=timm:resnet50")
    return WeightsRequest(Path(text).expanduser(), options, arguments, stated(options))
