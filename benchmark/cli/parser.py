"""The parser of ``camtrace score``: the options of a run, as declared, and those of the request."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmark.options import DEFAULT_MODEL, GROUPS, OPTIONS, Option, initial_value
from builders.cli import Joined, Names, Parser, repository_name
from builders.errors import UsageError, unknown_name
from builders.untrusted import UntrustedInputError, first_line, read_untrusted_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_BYTES = 2**16
"""Of such a file: the parser takes time by the square of the parts of a key (a.a.a...)."""


class ConfiguredParser(Parser):
    """A parser with ``--config``. What the file says is parsed as if it stood first on the command line."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_argument(
            "--config",
            type=Path,
            metavar="FILE",
            help="TOML with options under their names, such as batch-size = 32; the command line wins",
        )

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        words = list(sys.argv[1:] if args is None else args)
        parsed, extra = super().parse_known_args(words, namespace)
        if parsed.config is None:
            return parsed, extra
        from_file = self._words(parsed.config, parsed)
        try:
            return super().parse_known_args([*from_file, *words], None)
        except UsageError as error:  # the command line alone was right
            raise UsageError(f"{parsed.config}: {error}") from None

    def _words(self, path: Path, given: argparse.Namespace) -> list[str]:
        """The options of a file as words; those that repeat are left out where the command line has them."""
        words: list[str] = []
        for key, value in read_toml(path).items():
            action = self._option_string_actions.get(f"--{key}")
            if action is None or action.dest in ("config", "help"):
                known = [option[2:] for option in self.known_options() if option not in ("--config", "--help")]
                raise unknown_name(f"option in {path}", key, known)
            repeats = isinstance(action, argparse._AppendAction)
            values = value if isinstance(value, list) else [value]
            if len(values) != 1 and not repeats:
                raise UsageError(f"{path}: {key} takes one value, not a list")
            if any(isinstance(v, dict | list) for v in values):
                raise UsageError(f"{path}: {key} takes text, a number, true or false")
            if action.nargs == 0:
                if not isinstance(value, bool):
                    raise UsageError(f"{path}: {key} is true or false")
                words += [f"--{key}"] * value
            elif any(isinstance(v, bool) for v in values):
                raise UsageError(f"{path}: {key} takes a value, not true or false")
            elif not (repeats and getattr(given, action.dest)):
                words += [f"--{key}={v}" for v in values]
        return words


def read_toml(path: Path) -> Mapping[str, Any]:
    """The content of a TOML file.

    Raises:
        UsageError: it cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(read_untrusted_text(path, limit=MAX_BYTES))
    except UntrustedInputError as refused:
        raise UsageError(f"--config {path}: {refused.reason}") from None
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is one, a number of 5,000 digits another
        raise UsageError(f"--config {path}: not TOML ({first_line(error)})") from None


ABOUT = {
    GROUPS[1]: "One choice with overrides: --preset decides preprocessing, probes, tied votes and Exif orientation. "
    "Each option here replaces one of the four, and the result records it; see docs/reference/presets.md."
}
"""Text below the title of a group of options."""


def scoring_parser() -> Parser:
    """The options of ``camtrace score`` without what they run; whoever shares them adds their own."""
    p = ConfiguredParser(
        "camtrace score",
        description="Score what an encoder keeps of the camera and the codec. Without options: the bundled encoder on "
        "the bundled photos, a smoke test that needs no network.",
        most_used=(
            *("--model", "--data", "--tasks", "--output", "--dry-run"),
            *("--limit", "--preset", "--device", "--figure", "--verbose"),
        ),
        examples=(
            "camtrace score --model openai/clip-vit-base-patch16 --data folder:photos",
            "camtrace score --model ORG/NAME --data hub:cifar100 --tasks 'probe/*'",
        ),
        epilog="Exit status: 0 all done (with a warning where photos cannot be read), 1 an encoder, task or data set "
        "failed and the report says why, 2 the request was wrong, 130 or 143 interrupted, work saved. "
        "See also: camtrace list encoders|tasks|parameters|data",
    )
    sections = {title: p.add_argument_group(title, ABOUT.get(title)) for title in GROUPS}
    _add_request(sections[GROUPS[0]], sections[GROUPS[-1]])
    for option in OPTIONS:
        if option.role.on_command_line:
            _add(sections[option.role.group], option)
    return p


def _add_request(scored: argparse._ArgumentGroup, results: argparse._ArgumentGroup) -> None:
    """What is scored and where results go: options of the command that are no fields of ``RunOptions``."""
    scored.add_argument(
        "-m",
        "--model",
        action="extend",
        nargs="+",
        metavar="ID",
        help=f"encoders; repeatable; checkpoints (runs/checkpoint-*) by step (default: {DEFAULT_MODEL})",
    )
    scored.add_argument("--revision", help="commit, tag or branch of a Hub model, if there is one --model")
    scored.add_argument("--trust-remote-code", action="store_true", help="run code from the model's repository")
    scored.add_argument(
        "-d",
        "--data",
        action="append",
        metavar="SPEC",
        help="photos; repeatable: sample, folder:PATH, "
        "hub:REPO[@REVISION], imagenet:PATH, ..., see camtrace list data (default: sample, simcams, simpairs)",
    )
    scored.add_argument(
        "-t",
        "--tasks",
        action=Names,
        metavar="PATTERN",
        help="such as 'probe/*' or knn/jpeg; repeatable, or with commas (default: all that fit the photos)",
    )
    scored.add_argument(
        "--eraser",
        metavar="PLACE",
        help="a folder that camtrace erase wrote, or OWNER/NAME on the Hub: in place before any score",
    )
    results.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("results"),
        metavar="DIR",
        help="where results go (default: %(default)s)",
    )
    results.add_argument(
        "--figure",
        type=Path,
        metavar="FILE",
        help="also draw a figure for a paper, one column wide: .pdf, .svg or .png",
    )
    results.add_argument(
        "--push-to",
        type=repository_name,
        metavar="OWNER/NAME",
        help="publish the results to this data set repository (see also: camtrace publish)",
    )
    results.add_argument(
        "--dry-run", action="store_true", help="measure a few photos, estimate time by stage and disk; score nothing"
    )
    results.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="print every table of the report, what encoders and data are, and where a failed task failed",
    )


def _add(section: argparse._ArgumentGroup, option: Option) -> None:
    """An option of a run, as its role declares it."""
    role, about = option.role, dict[str, Any]()
    if option.is_flag:
        about = {"action": "store_true"}
    elif option.is_repeated:
        about = {"action": "append", "metavar": role.metavar}
    else:
        # what a preset decides is unknown until the preset is: None says that it was not given
        about = {"type": role.type or _READ.get(option.type), "default": initial_value(option)}
        about["metavar"] = role.metavar
        if role.choices and not role.convert:
            about["choices"] = option.known()
    if role.convert and not option.is_repeated:
        about["action"] = Joined
    names = [role.short, option.flag] if role.short else [option.flag]
    section.add_argument(*names, help=role.help.replace("{choices}", ", ".join(option.known())), **about)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


_READ: Mapping[type, Callable[[str], Any]] = MappingProxyType({int: _whole, float: _number, Path: Path})
"""How a value is read from text, by its type; text stays as it is."""
