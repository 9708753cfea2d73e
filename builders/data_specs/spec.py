"""A data specification, and what the registry says of its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from builders.errors import UsageError
from builders.photos import ColumnSources, PhotoSet
from builders.sources import Streaming

MOST_DIGITS = 9
"""Of a whole number: with more, the names of the photos would fill the memory before one is read."""


@dataclass(frozen=True)
class DataSpec:
    """A parsed data specification: ``kind:location[@revision][?option=value&...]``."""

    kind: str
    location: str = ""
    revision: str | None = None
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """By name, without ``group``."""
    columns: ColumnSources = field(default_factory=ColumnSources)
    """Where labels, groups, clusters, splits and sources come from."""
    streaming: Streaming | None = None
    """The wish to read the data where they are; not a part of the text."""

    def chosen(self, *names: str) -> dict[str, Any]:
        """The options of these names that it has."""
        return {name: self.options[name] for name in names if name in self.options}

    def whole(self, option: str, default: int) -> int:
        """An option that is a whole number of at least 1.

        Raises:
            UsageError: it is another text.
        """
        text = self.options.get(option, str(default))
        if not text.isdecimal() or len(text) > MOST_DIGITS or int(text) < 1:
            raise UsageError(f"{option}={text}: give a whole number of at least 1, of at most {MOST_DIGITS} digits")
        return int(text)

    @property
    def val_share(self) -> float:
        """``val-share``: the share of photos that a drawn split puts into ``val``.

        Raises:
            UsageError: it is no number between 0 and 1.
        """
        text = self.options.get("val-share", "0.25")
        try:
            share = float(text)
        except ValueError:
            share = 0.0
        if not 0 < share < 1:
            raise UsageError(f"val-share={text}: give a number between 0 and 1")
        return share


@dataclass(frozen=True)
class Kind:
    """One kind of data specification."""

    usage: str
    """How it is written."""
    summary: str
    """One line for ``camtrace list data``."""
    open: Callable[[DataSpec, int], PhotoSet]
    """From a specification, and the seed of splits for data without splits, to the photos."""
    options: tuple[str, ...] = ()
    """Names of its options."""
    location: Literal["required", "optional", "none"] = "required"
    has_revision: bool = False
    """Whether ``@REVISION`` may follow the location. Kinds whose location is a specification parse it themselves."""
    path_options: tuple[str, ...] = ()
    """Options whose values are paths of this machine."""
    has_table: bool = False
    """Whether the photos have a table, from which ``open`` reads the named columns itself."""
    streams: bool = False
    """Whether ``open`` follows ``DataSpec.streaming``."""
    is_local: Callable[[DataSpec], bool] = field(kw_only=True)
    """Whether the location is a path of this machine, which nothing that is published may hold."""
