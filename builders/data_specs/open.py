"""Parses data specifications such as ``folder:PATH`` or ``hub:REPO@REVISION``, and opens the photos that they name.

Options follow a question mark, as in a URL: ``hub:cifar100?image=img&label=fine_label&val=test``. On every kind
``label``, ``group``, ``cluster``, ``split`` and ``source`` say where these columns come from
(``builders.photos.ColumnSources``).
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from builders.cli import parse_query
from builders.data_specs.kinds import KINDS
from builders.data_specs.spec import DataSpec
from builders.errors import DataError, RespelledError, UsageError, unknown_name
from builders.photos import COLUMN_OPTIONS, ColumnSources, PhotoSet
from builders.processes import notice
from builders.sources import Streaming

_PLAIN = ("folder", "imagenet")
"""Kinds that another may replace; who names one of the others wants what it gives."""


def open_photos(text: str, seed: int = 0, *, label_named: bool = False, streaming: Streaming | None = None) -> PhotoSet:
    """The photos that a specification names.

    Where it cannot be read as it stands, and only one other reading makes sense, that one is taken with a notice.

    Args:
        text: for example ``sample``, ``folder:my_photos``, ``hub:org/name@main?label=species``.
        seed: of the train/val split, if the data have none.
        label_named: whether the caller names the label itself, and reads no split: class folders are not questioned.
        streaming: read remote data where they are, and of a limit only the shards or row groups that hold as many.

    Raises:
        UsageError: the specification is wrong.
        DataError: the location has no usable photos, or several readings make sense.
    """
    from builders.sources import check_layout, with_columns

    spec = parse_data_spec(text)
    kind = KINDS[spec.kind]
    if streaming is not None:
        if not kind.streams:
            kinds = " and ".join(f"{name}:" for name, other in KINDS.items() if other.streams)
            raise UsageError(f"--stream reads {kinds}, not {spec.kind}: leave it out")
        spec = dataclasses.replace(spec, streaming=streaming)
    known = (*kind.options, *COLUMN_OPTIONS, "name")
    for option in spec.options:
        if option not in known:
            raise unknown_name(f"option of {kind.usage}", option, dict.fromkeys(known))
    try:
        photos = kind.open(spec, seed)
        if not len(photos):
            raise DataError(f"{text}: no photo there")
        if spec.kind == "folder" and not label_named:
            check_layout(f"folder:{spec.location}", photos, spec.columns, draw="val-share" in spec.options)
        if not kind.has_table:
            photos = with_columns(photos, spec.columns, seed=seed, val_share=spec.val_share)
    except RespelledError as refused:
        meant = _respelled(text, refused.instead, refused.options)
        if meant == text:
            raise DataError(str(refused)) from None
        if not refused.certain or (refused.instead and spec.kind not in _PLAIN):
            raise DataError(f"{refused}: did you mean '{meant}'?") from None
        notice(f"{refused}: read as '{meant}'")
        return open_photos(meant, seed, label_named=label_named, streaming=streaming)
    return dataclasses.replace(photos, name=spec.options["name"]) if "name" in spec.options else photos


def _respelled(text: str, instead: str, options: Mapping[str, str]) -> str:
    """A specification with another location, and some options in place of its own; ``group=NAME`` is one of them."""
    head, _, query = text.partition("?")
    pairs = parse_query(query, text, repeated=("group",)) if query else []
    for option, value in options.items():
        name, _, group = option.partition("=")
        kept = [(n, v) for n, v in pairs if n != name or (group and v.partition("=")[0] != group)]
        pairs = [*kept, (name, f"{group}={value}" if group else value)]
    written = (f"{name}={value.replace('%', '%25').replace('&', '%26')}" for name, value in pairs)
    return "?".join(filter(None, (instead or head, "&".join(written))))


def parse_data_spec(text: str) -> DataSpec:
    """Parse a specification.

    Raises:
        UsageError: the kind is unknown, the location is missing, or an option is malformed.

    >>> parse_data_spec("hub:org/name@main?label=species").options["label"]
    'species'
    """
    head, _, query = text.partition("?")
    kind, colon, location = head.partition(":")
    if kind not in KINDS:
        raise _unknown_data(text)
    location_use = KINDS[kind].location
    if location_use == "required" and not location:
        raise UsageError(f"data {text!r} names no location: write {KINDS[kind].usage}")
    if colon and location_use == "none":
        raise UsageError(f"data {kind!r} takes no location, got {text!r}")
    revision = None
    if KINDS[kind].has_revision and not Path(location).exists():
        location, _, revision = location.partition("@")
    pairs = parse_query(query, f"data {text!r}", repeated=("group",)) if query else []
    options = {name: value for name, value in pairs if name != "group"}
    groups = [value for name, value in pairs if name == "group"]
    named = {name: options[name] for name in COLUMN_OPTIONS if name in options}
    return DataSpec(
        kind, location, revision or None, MappingProxyType(options), ColumnSources.of(group=groups, **named)
    )


def refuse_photos(spec: str) -> None:
    """Refuse a specification of photos in the place of an encoder's.

    Raises:
        UsageError: it begins with a kind of data.

    >>> refuse_photos("timm:resnet18")
    """
    kind, colon, _ = spec.partition(":")
    if colon and kind in KINDS:
        raise UsageError(f"{spec!r} is no encoder: these are photos, which --data names")


def _near_folder(path: Path) -> Path | None:
    """A folder beside this path, which is not there, with nearly its name."""
    try:
        folders = [beside.name for beside in path.parent.iterdir() if beside.is_dir()]
    except OSError:
        return None
    near = difflib.get_close_matches(path.name, folders, n=1, cutoff=0.8)
    return path.with_name(near[0]) if near else None


def _unknown_data(text: str) -> UsageError:
    """The error for a path or a repository without its kind, or for a misspelt kind."""
    head = text.partition("?")[0]
    if Path(head).expanduser().exists():
        return UsageError(f"data {text!r} does not say what it is: did you mean 'folder:{text}'?")
    if ":" not in head and (folder := _near_folder(Path(head).expanduser())):
        return UsageError(f"data {text!r} does not say what it is: did you mean 'folder:{folder}'?")
    near = difflib.get_close_matches(head.partition(":")[0], KINDS, n=1, cutoff=0.7)
    if not near and re.fullmatch(r"[\w.-]+/[\w.-]+(@[\w./-]+)?", head):
        return UsageError(
            f"data {text!r} does not say what it is: did you mean 'hub:{text}'? ('camtrace list data' names every kind)"
        )
    if not near and ":" not in head:
        return UsageError(
            f"data {text!r}: no such folder; write folder:PATH, or 'hub:{text}' for a data set of the Hub "
            "('camtrace list data' names every kind)"
        )
    meant = {text: KINDS[near[0]].usage} if near else {}
    return unknown_name("data", text, [kind.usage for kind in KINDS.values()], other_names=meant)
