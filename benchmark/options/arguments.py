"""Parsed arguments of a command line that scores, as the options of a run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from benchmark.options.presets import CHOICES, choices
from benchmark.options.roles import Option
from benchmark.options.run_options import OPTIONS, RunOptions
from builders.pixels import use_processings

DEFAULT_MODEL = "bundled:efficientnet-lite0"

DEFAULT_DATA = ("sample", "simcams", "simpairs")


def initial_value(option: Option) -> Any:
    """The value of an option that was not given: its default, or None where the preset decides it."""
    if option.is_repeated:
        return None
    return None if option.name == "preset" or option.name in CHOICES else option.default


def default_arguments() -> argparse.Namespace:
    """The parsed options of a command line without options."""
    return argparse.Namespace(**{o.name: initial_value(o) for o in OPTIONS if o.role.on_command_line})


def checked_data(args: argparse.Namespace) -> list[str]:
    """The data specifications of a command line, each once. They are checked before anything slow is imported.

    Raises:
        UsageError: a specification is not well-formed, or is an encoder's, and one of ``--model`` is of photos.
    """
    from builders.data_specs import parse_data_spec, refuse_photos

    for model in getattr(args, "model", None) or ():
        refuse_photos(model)
    specs = list(dict.fromkeys(args.data or DEFAULT_DATA))
    for spec in specs:
        parse_data_spec(spec)
    return specs


def listed(names: Sequence[str], most: int = 4) -> str:
    """Names as part of a sentence.

    >>> listed(["a"]), listed(["a", "b", "c"]), listed(["a", "b", "c", "d", "e"])
    ('a', 'a, b and c', '5 (a, b, c, ...)')
    """
    if len(names) > most:
        return f"{len(names)} ({', '.join(names[: most - 1])}, ...)"
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def loading_options(args: argparse.Namespace) -> dict[str, Any]:
    """The parsed options that ``load_encoder`` takes, but for the revision."""
    options = {o.name: getattr(args, o.name) for o in OPTIONS if o.role.loads}
    return {**options, "preprocess": _chosen(args)["preprocess"], "trust_remote_code": args.trust_remote_code}


def _chosen(args: argparse.Namespace) -> dict[str, str]:
    """The choices of the preset, without those that the command line gives."""
    return choices(args.preset or RunOptions().preset, {name: getattr(args, name) for name in CHOICES})


def to_run_options(args: argparse.Namespace) -> RunOptions:
    """The parsed options of the scoring command (and of those that share them); their processings are in use from now.

    Raises:
        UsageError: a value is out of its range.
    """
    values = {o.name: o.converted(getattr(args, o.name)) for o in OPTIONS if o.role.on_command_line}
    preset = args.preset or RunOptions().preset
    options = RunOptions(**{**values, **_chosen(args), "preset": preset}).checked()
    use_processings(options.processings)
    return options
