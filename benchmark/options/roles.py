"""How an option is declared: ``option`` gives its default and its ``Role``; parser, checks, keys and records follow.

A field without a role, and a role that does not say whether the option affects scores, are errors at import: a cache
key that lacks an option gives a wrong score in silence.
"""

from __future__ import annotations

import dataclasses
import importlib
import typing
from collections.abc import Callable, Collection
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Concatenate, Literal, ParamSpec

from builders.cli import perhaps_percent
from builders.errors import UsageError, unknown_name

GROUPS = (
    "encoders, photos and tasks",
    "preset and its choices",
    "questions",
    "random numbers",
    "forward passes",
    "speed and memory",
    "results and messages",
)
"""Sections of the help page, in order."""

PRESET = GROUPS[1]

InResult = Literal["always", "if changed", "no"]
"""Whether ``environment.options`` of a result records an option, or only a value that is not the default."""


P = ParamSpec("P")


@dataclass(frozen=True, kw_only=True)
class Role:
    """What is declared of an option, besides its name, its type and its default.

    Raises:
        TypeError: it does not say whether the option affects scores, or why the key of outcomes lacks its value; or
            results do not record a value that the key has.

    >>> Role(help="photos at a time", group="speed", affects_scores=False)
    Traceback (most recent call last):
    ...
    TypeError: 'photos at a time': affects_scores=False needs a reason
    """

    help: str
    """For ``--help``; ``{choices}`` stands for the known values."""
    group: str
    """Section of the help page."""
    affects_scores: bool
    """Whether another value can give other scores."""
    reason: str = ""
    """Why the value is not in the key of cached outcomes: it affects no score, or the key holds its effect otherwise.
    Empty for an option whose value is in the key."""
    repeat: bool = False
    """Whether the command that repeats a result states it where it is not the default."""
    in_result: InResult = "no"
    short: str = ""
    """A second flag, such as ``-k``."""
    metavar: str | None = None
    choices: Collection[str] | str = ()
    """The known values, or ``module:name`` of a registry in a higher layer; empty: any."""
    limits: Callable[[Any], str] | None = None
    """(value) -> one sentence on what is wrong with it; empty if nothing is."""
    type: Callable[[str], Any] | None = None
    """Reads a value from text; by default as the type of the field says."""
    convert: str = ""
    """``module:name`` of a function that checks and completes a value; then ``choices`` only lists names."""
    on_command_line: bool = True
    """False for a field that only Python can set."""
    loads: bool = False
    """Whether ``load_encoder`` takes the option."""

    def __post_init__(self) -> None:
        if not self.affects_scores and not self.reason:
            raise TypeError(f"{self.help!r}: affects_scores=False needs a reason")
        if self.in_key and (self.in_result == "no" or not self.repeat):
            raise TypeError(f"{self.help!r}: it affects scores, so results record it and their commands repeat it")

    @property
    def in_key(self) -> bool:
        """Whether the value is in the key of cached outcomes."""
        return self.affects_scores and not self.reason


def _declares(make: Callable[P, Role]) -> Callable[Concatenate[Any, P], Any]:
    """A function with the keywords of ``Role`` that returns a field."""

    def option(default: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        metadata = MappingProxyType({"role": make(*args, **kwargs)})
        if callable(default):
            return dataclasses.field(default_factory=default, metadata=metadata)
        return dataclasses.field(default=default, metadata=metadata)

    return option


option = _declares(Role)
"""A field of a dataclass: its default, or a function that returns it, and the fields of its ``Role``."""


@dataclass(frozen=True)
class Option:
    """A declared option: a field and its role."""

    name: str
    role: Role
    hint: Any
    """Annotation of the field."""
    _field: dataclasses.Field[Any]

    @property
    def flag(self) -> str:
        """``--batch-size`` of ``batch_size``."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def default(self) -> Any:
        """Default of the field."""
        if self._field.default_factory is not dataclasses.MISSING:
            return self._field.default_factory()
        return self._field.default

    @property
    def type(self) -> Any:
        """Type of a value that is not None."""
        return next((t for t in typing.get_args(self.hint) if t is not type(None)), self.hint)

    @property
    def changes_question(self) -> bool:
        """True if two runs that differ in it did not measure the same thing of the same photos."""
        return self.role.in_key or self.role.group == PRESET

    @property
    def is_flag(self) -> bool:
        """True if it has no value on the command line."""
        return self.hint is bool

    @property
    def is_repeated(self) -> bool:
        """True if it is given once for each of its values on the command line."""
        return typing.get_origin(self.hint) is tuple

    def known(self) -> tuple[str, ...]:
        """The values of ``choices``; none where any is allowed."""
        choices = self.role.choices
        return tuple(_named(choices) if isinstance(choices, str) else choices)

    def converted(self, value: Any) -> Any:
        """A value from the command line or from Python as the field holds it.

        Raises:
            UsageError: ``convert`` refuses it.
        """
        if self.is_repeated:
            value = tuple(value or ())
        return _named(self.role.convert)(value) if self.role.convert else value

    def check(self, value: Any) -> None:
        """Check that a value is in its range.

        Raises:
            UsageError: it is not.
        """
        if value is not None and self.role.limits and (wrong := self.role.limits(value)):
            raise UsageError(f"{self.name.replace('_', ' ')} {value}: {wrong}")
        if self.role.choices and not self.role.convert and value not in self.known():
            raise unknown_name(self.name, value, self.known())


def declared(options: type) -> tuple[Option, ...]:
    """Every option of a dataclass, in the order of its fields.

    Raises:
        TypeError: a field has no role.
    """
    hints = typing.get_type_hints(options)
    declared_options: list[Option] = []
    for field in dataclasses.fields(options):
        if "role" not in field.metadata:
            raise TypeError(f"{options.__name__}.{field.name}: declare it by option(default, affects_scores=..., ...)")
        declared_options.append(Option(field.name, field.metadata["role"], hints[field.name], field))
    return tuple(declared_options)


def at_least(least: int) -> Callable[[Any], str]:
    """A lower limit, for ``Role.limits``.

    >>> at_least(1)(0), at_least(1)(1)
    ('at least 1 is needed', '')
    """
    return lambda value: "" if value >= least else f"at least {least} is needed"


def a_share(value: float) -> str:
    """The limits of a share, for ``Role.limits``.

    >>> a_share(0.5), a_share(1.0)
    ('', 'give a share of at least 0 and less than 1')
    >>> a_share(90)
    'give a share of at least 0 and less than 1: did you mean 0.9?'
    """
    return "" if 0 <= value < 1 else f"give a share of at least 0 and less than 1{perhaps_percent(value)}"


def a_share_or_all(value: float) -> str:
    """The limits of a share that may be all.

    >>> a_share_or_all(1.0), a_share_or_all(90)
    ('', 'give a share from 0 to 1: did you mean 0.9?')
    """
    return "" if 0 <= value <= 1 else f"give a share from 0 to 1{perhaps_percent(value)}"


def _named(path: str) -> Any:
    """An object by ``module:name``, imported when it is needed, since its layer is above this one."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
