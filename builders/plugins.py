"""What other installed packages add: entry points of ``camtrace.tasks``, ``camtrace.encoders`` and ``camtrace.data``.

The name of an entry point is the first part of the names that it adds: ``colour`` of ``camtrace.tasks`` gives tasks
``colour/...``; of the other two it stands before the colon of a specification, ``colour:...``. Its package is imported
when such a name is used, or when all are listed (``docs/how-to/plugins.md``).

Folders of ``builders/extras`` and ``benchmark/extras`` come through the same door. Each has a module ``extra``, which
says what the folder adds, by group: ``COMMANDS``, ``NAMES`` of ``camtrace``, ``TASKS``, ``ENCODERS``, ``DATA``. Nothing
else names such a folder, so that one that is deleted is missed by nothing.
"""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from builders.errors import UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Side = Literal["builders", "benchmark"]
PluginGroup = Literal["tasks", "encoders", "data"]
PLUGIN_GROUPS: Mapping[PluginGroup, Side] = {"tasks": "benchmark", "encoders": "benchmark", "data": "builders"}
"""Groups of entry points, and whose extras add to them."""

Added = TypeVar("Added")


def extras(side: Side, group: str) -> dict[str, Any]:
    """What the folders below ``SIDE/extras`` add, by name, in the order of the folders.

    Args:
        side: whose folders.
        group: name in their modules ``extra``: ``COMMANDS``, ``NAMES`` or that of a group of entry points.
    """
    return {name: added for extra in _extras(side) for name, added in getattr(extra, group, {}).items()}


@functools.cache
def _extras(side: Side) -> list[ModuleType]:
    folders = sorted(file.parent.name for file in Path(__file__).parents[1].glob(f"{side}/extras/*/extra.py"))
    return [importlib.import_module(f"{side}.extras.{folder}.extra") for folder in folders]


@functools.cache
def _entry_points() -> Any:
    """One search of the installed packages for all groups."""
    from importlib.metadata import entry_points  # late: takes longer than all that ``--help`` needs

    return entry_points()


@functools.cache
def plugins(group: PluginGroup) -> Mapping[str, EntryPoint]:
    """Entry points of a group by name; of two with one name the extra's, else that of the first package by its name."""
    from importlib.metadata import EntryPoint

    found = sorted(_entry_points().select(group=f"camtrace.{group}"), key=plugin_source, reverse=True)
    added = extras(PLUGIN_GROUPS[group], group.upper())
    own = {name: EntryPoint(name, value, f"camtrace.{group}") for name, value in added.items()}
    return {entry.name: entry for entry in found} | own


def plugin_source(entry: EntryPoint) -> str:
    """The package of an entry point and its version: ``camtrace-colour 1.2``."""
    return "camtrace" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"


def load_plugin(group: PluginGroup, name: str, kind: type[Added]) -> Added:
    """What an entry point gives.

    Args:
        group: of the entry point.
        name: of the entry point, a key of ``plugins(group)``.
        kind: what it must be.

    Raises:
        UsageError: it cannot be imported, or is something else.
    """
    entry = plugins(group)[name]
    where = f"{plugin_source(entry)}: its {name!r} of camtrace.{group}, {entry.value},"
    try:
        thing = entry.load()
    except Exception as error:  # of another package's modules
        raise UsageError(
            f"{where} cannot be imported ({type(error).__name__}: {error}): repair or remove the package"
        ) from error
    if not isinstance(thing, kind):
        raise UsageError(f"{where} is {type(thing).__name__}, not {kind.__name__}")
    return thing


@functools.lru_cache(maxsize=64)
def _left_out(reason: str) -> None:
    """Log a sentence once."""
    logging.getLogger("camtrace").warning("left out: %s", reason)


def loaded(names: Iterable[str], load: Callable[[str], Added]) -> Iterator[tuple[str, Added]]:
    """What packages add, with its name, for lists: what cannot be loaded is left out, with a warning of the logger
    ``camtrace``.

    Args:
        names: of entry points.
        load: may raise ``UsageError``.
    """
    for name in names:
        try:
            thing = load(name)
        except UsageError as error:
            _left_out(str(error))
        else:
            yield name, thing


class WithPlugins(Mapping[str, Added]):
    """A registry with what packages add to it, whose names come last. A broken package is left out of lists, with a
    warning in the log.

    Args:
        built_in: the registry.
        group: of entry points.
        kind: of the entries.
    """

    def __init__(self, built_in: Mapping[str, Added], group: PluginGroup, kind: type[Added]) -> None:
        self._built_in, self._group, self._kind = built_in, group, kind

    def __getitem__(self, name: str) -> Added:
        if name in self._built_in:
            return self._built_in[name]
        if name not in plugins(self._group):
            raise KeyError(name)
        return load_plugin(self._group, name, self._kind)

    def __contains__(self, name: object) -> bool:
        return name in self._built_in or name in plugins(self._group)

    def __iter__(self) -> Iterator[str]:
        yield from self._built_in
        added = (name for name in plugins(self._group) if name not in self._built_in)
        yield from (name for name, _ in loaded(added, self.__getitem__))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def plugin_versions() -> dict[str, str]:
    """Version of every installed package that adds something, by name, for results."""
    found = [entry.dist for group in PLUGIN_GROUPS for entry in plugins(group).values() if entry.dist is not None]
    return {dist.name: dist.version for dist in found}
