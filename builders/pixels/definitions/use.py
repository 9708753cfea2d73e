"""The choice of ``--processings``, and the definitions in use in this process.

One file is in use at a time. The mappings of ``builders/pixels/parameters.py`` follow it, and so does everything that
looks a parameter or a processing up by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from builders.errors import UsageError
from builders.pixels.codecs import register_format
from builders.pixels.definitions.read import PRESETS, Definitions, read_definitions
from builders.pixels.parameters import BUILT_IN, STUDY_PARAMETERS, STUDY_PROCESSINGS, Parameter, put_in_use


def chosen_processings(what: str) -> str:
    """The value of ``--processings`` as options hold it: a preset's name, or the canonical text of a file.

    Returns:
        Empty for definitions that restate the built-in parameters of the study.

    Raises:
        UsageError: as ``read_definitions``, or a codec is not installed.
    """
    if not what:
        return ""
    definitions = read_definitions(what)
    for file_format in {f for processing in definitions.processings.values() for f in processing.formats}:
        register_format(file_format)
    if _restates_study(definitions):
        return ""
    return what if what in PRESETS else definitions.text


def _restates_study(definitions: Definitions) -> bool:
    """Whether definitions are the study's parameters and processings, in their order.

    >>> _restates_study(read_definitions("study")), _restates_study(read_definitions("web"))
    (True, False)
    """
    study = [(name, BUILT_IN[name]) for name in STUDY_PARAMETERS]
    return list(definitions.parameters.items()) == study and tuple(definitions.processings) == STUDY_PROCESSINGS


_state: dict[str, str] = {"in use": ""}
_known: dict[str, Parameter] = {}


def use_processings(chosen: str) -> None:
    """Put definitions in use, in the place of those that were: ``PARAMETERS``, ``ALL_PROCESSINGS`` and so on follow.

    Args:
        chosen: from ``chosen_processings``; empty for the built-in parameters alone.
    """
    if chosen == _state["in use"]:
        return
    if not chosen:
        put_in_use(None, None)
    else:
        definitions = read_definitions(chosen)
        put_in_use(definitions.parameters, definitions.processings)
        _known.update(definitions.parameters)
    _state["in use"] = chosen


def processings_in_use() -> str:
    """What ``use_processings`` was called with last; empty at first."""
    return _state["in use"]


def remember_parameters(chosen: str) -> None:
    """Know the parameters of a result, which is only shown, by ``known_parameters``. What cannot be read is ignored."""
    try:
        for name, parameter in (read_definitions(chosen).parameters if chosen else {}).items():
            _known.setdefault(name, parameter)
    except UsageError:
        pass


def known_parameters() -> Mapping[str, Parameter]:
    """Every parameter that a file or a result of this process has defined, by name."""
    return MappingProxyType(_known)


def queried_processings() -> tuple[str, ...]:
    """Names of the processings of an adversary: of the file in use, else the study's 14."""
    chosen = _state["in use"]
    return tuple(read_definitions(chosen).processings) if chosen else STUDY_PROCESSINGS
