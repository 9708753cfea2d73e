"""Small dataclasses as JSON files in the cache: verdicts of gates, and choices, for later runs.

A file that is absent, damaged or has other fields counts as none: its value is computed again.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import typing
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from builders.files import write_text_atomically
from builders.untrusted import UntrustedInputError, read_untrusted_json

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def read_record(file: Path, kind: type[T]) -> T | None:
    """A dataclass from its JSON file.

    Args:
        file: written by ``write_record``.
        kind: the dataclass. Its fields are text, numbers, flags, tuples of text, or None where that is allowed.

    Returns:
        The value; None if the file is absent or damaged, or a field is missing, unknown or of another type.

    >>> import tempfile
    >>> @dataclasses.dataclass(frozen=True)
    ... class Speed:
    ...     views: float
    ...     names: tuple[str, ...] = ()
    >>> file = Path(tempfile.mkdtemp(), "speed.json")
    >>> write_record(file, Speed(3.5, ("a", "b")))
    >>> read_record(file, Speed)
    Speed(views=3.5, names=('a', 'b'))
    >>> _ = file.write_text('{"views": "many"}')
    >>> print(read_record(file, Speed))
    None
    """
    try:
        raw = read_untrusted_json(file)
    except UntrustedInputError:
        return None
    if not isinstance(raw, dict):
        return None
    hints = typing.get_type_hints(kind)
    values = {name: _typed(value, hints.get(name)) for name, value in raw.items()}
    if any(value is _WRONG for value in values.values()):
        return None
    try:
        return kind(**values)
    except TypeError:  # a field without default is missing
        return None


def write_record(file: Path, record: DataclassInstance) -> None:
    """Write a dataclass as JSON, atomically.

    Raises:
        OSError: it cannot be written.
    """
    write_text_atomically(file, json.dumps(dataclasses.asdict(record)) + "\n")


def json_values(value: object) -> Any:
    """Mappings and sequences, at every depth, as the dictionaries and lists that JSON writes.

    >>> json_values({"a": ({"b": (1, 2)},)})
    {'a': [{'b': [1, 2]}]}
    """
    if isinstance(value, Mapping):
        return {str(key): json_values(inner) for key, inner in value.items()}
    return [json_values(inner) for inner in value] if isinstance(value, list | tuple) else value


@functools.cache
def library_version(package: str) -> str | None:
    """Version of an installed package; None if it is not installed. It is read once: 6 ms each time add up in a run.

    >>> library_version("numpy") is not None, library_version("no-such-package")
    (True, None)
    """
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


_WRONG = object()


def _typed(value: object, hint: Any) -> object:
    """A JSON value as the type of a field; ``_WRONG`` if it does not fit."""
    kinds = typing.get_args(hint) if type(None) in typing.get_args(hint) else (hint,)
    for kind in kinds:
        if typing.get_origin(kind) is tuple:
            if isinstance(value, list) and all(isinstance(item, str) for item in value):
                return tuple(value)
        elif kind is float and type(value) is int:
            return float(value)
        elif type(value) is kind:
            return value
    return _WRONG
