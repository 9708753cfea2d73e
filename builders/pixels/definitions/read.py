"""Reads processing files, which are untrusted.

Size, numbers and names are bounded, and an error names line and field. Comments, spaces and the order of a step's
fields change nothing; steps, their order and their numbers are the identity of a processing.
"""

from __future__ import annotations

import functools
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from builders.errors import UsageError, unknown_name
from builders.pixels.definitions.fields import FORMATS, STEP_FIELDS, objection
from builders.pixels.definitions.lines import Place, toml_lines
from builders.pixels.definitions.stages import processing_of
from builders.pixels.parameters import BUILT_IN, Parameter, processings_of
from builders.pixels.processing import EditStep, Processing
from builders.untrusted import UntrustedInputError, first_line, is_readable, parse_json, read_untrusted_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_BYTES = 2**16
"""Of a file."""
MAX_DOTS = 1000
"""In a line: the parser takes time by the square of the parts of a key (a.a.a...)."""
MAX_STEPS, MAX_PROCESSINGS, MAX_PARAMETERS, MAX_CLASSES, MAX_NAME, MAX_TEXT = 5, 200, 50, 64, 64, 300

PRESETS = ("study", "web", "messengers", "ntire")
"""Files in ``presets/``, which can be named without a path."""

_COLUMNS = ("image", "photo_id", "label", "scale", "width", "height", "source_sha256", "source_quality")
RESERVED = frozenset((*_COLUMNS, "source_subsampling", "original", "adversary", "pairs", "masked", "whole"))
"""Columns of built sets and names of other views, which no parameter or processing can have."""

_BUILT_IN_PROCESSINGS = processings_of(BUILT_IN.values())
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
_ABOUT = ("source", "guess")
"""Fields for people: where the numbers of a step are published, or that they are a guess."""


@dataclass(frozen=True)
class Definitions:
    """What a file defines."""

    processings: Mapping[str, Processing]
    parameters: Mapping[str, Parameter]
    text: str
    """The file in canonical form, JSON on one line: equal for files of equal meaning. ``read_definitions`` reads it."""


def read_definitions(what: str) -> Definitions:
    """The definitions of a preset's name, of the path of a file, or of a canonical text.

    Raises:
        UsageError: there is no such file, or something in it is wrong: one sentence with line and field.

    >>> list(read_definitions("study").parameters)
    ['jpeg', 'sharpening', 'resizing', 'interpolation']
    """
    if what.startswith("{") or what in PRESETS:
        return _unchanging(what)
    return _read(what)


@functools.lru_cache(maxsize=16)
def _unchanging(what: str) -> Definitions:
    """The definitions of a preset or a canonical text."""
    if what in PRESETS:
        return _read(what)
    try:
        return _Reader("{...}", parse_json(what, "--processings {...}"), {}).definitions()
    except UntrustedInputError as refused:
        raise UsageError(str(refused)) from None


def _read(what: str) -> Definitions:
    path = Path(__file__).parent / "presets" / f"{what}.toml" if what in PRESETS else Path(what)
    if what not in PRESETS and "/" not in what and not what.endswith(".toml") and not path.exists():
        raise unknown_name("processings", what, PRESETS)
    try:
        text = read_untrusted_text(path, limit=MAX_BYTES)
        if line := next((n for n, line in enumerate(text.splitlines(), 1) if line.count(".") > MAX_DOTS), 0):
            raise UsageError(f"--processings {what}: line {line}, more than {MAX_DOTS:,} dots")
        document = tomllib.loads(text)
    except UntrustedInputError as refused:
        raise UsageError(f"--processings {what}: {refused.reason}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--processings {what}: not TOML ({first_line(error)})") from None
    return _Reader(what, document, toml_lines(text)).definitions()


class _Reader:
    """Reads a document; ``where`` and the lines of its values begin errors."""

    def __init__(self, where: str, document: Any, lines: Mapping[Place, int]) -> None:
        self._where, self._document, self._lines = where, document, lines

    def definitions(self) -> Definitions:
        document = self._table(self._document, (), "the file", ("schema", "processing", "parameter"))
        if document.get("schema") != 1 or isinstance(document.get("schema"), bool):
            raise self._error(("schema",), "schema", "schema = 1 is needed")
        tables = self._list(document, (), "processing", 1, MAX_PROCESSINGS)
        canonical: list[dict[str, Any]] = []
        processings: dict[str, Processing] = {}
        for i, table in enumerate(tables):
            processing, written = self._processing(table, ("processing", i))
            if processing.name in processings:
                raise self._error(("processing", i, "name"), "name", f"{processing.name} is defined twice")
            processings[processing.name] = processing
            canonical.append(written)
        parameters: dict[str, Parameter] = {}
        for i, table in enumerate(self._list(document, (), "parameter", 0, MAX_PARAMETERS)):
            parameter = self._parameter(table, ("parameter", i), processings)
            if parameter.name in parameters:
                raise self._error(("parameter", i, "name"), "name", f"{parameter.name} is defined twice")
            parameters[parameter.name] = parameter
        questions = [
            {"name": p.name, "title": p.title, "explain": p.explain, "classes": {c: m.name for c, m in p.items()}}
            for p in parameters.values()
        ]
        text = json.dumps({"schema": 1, "processing": canonical, "parameter": questions}, separators=(",", ":"))
        return Definitions(MappingProxyType(processings), MappingProxyType(parameters), text)

    def _processing(self, value: Any, at: Place) -> tuple[Processing, dict[str, Any]]:
        table = self._table(value, at, "a processing", ("name", "steps", *_ABOUT))
        name = self._name(table, at, "processing")
        self._check_about(table, at)
        steps: list[EditStep] = []
        tables = self._list(table, at, "steps", 1, MAX_STEPS + 1)
        for i, step in enumerate(tables):
            steps.append(self._step(step, (*at, "steps", i), i))
        steps = [step for step in steps if step.kind != "decode"]
        if not 1 <= len(steps) <= MAX_STEPS:
            clause = f"{name} has {len(steps)} steps, and 1 to {MAX_STEPS} are allowed"
            raise self._error((*at, "steps"), "steps", clause)
        if steps[-1].kind not in FORMATS:
            clause = f"{name} ends in {steps[-1].kind}: the last step is one of {', '.join(FORMATS)}"
            raise self._error((*at, "steps", len(tables) - 1), "step", clause)
        processing = processing_of(name, steps)
        if name in _BUILT_IN_PROCESSINGS and processing != _BUILT_IN_PROCESSINGS[name]:
            what = f"{name} is built in with other steps ({_BUILT_IN_PROCESSINGS[name]}): choose another name"
            raise self._error((*at, "name"), "name", what)
        written = [
            {"step": s.kind, **{n: v for n, v in s.values if v != STEP_FIELDS[s.kind][n].default}} for s in steps
        ]
        return processing, {"name": name, "steps": written}

    def _step(self, value: Any, at: Place, position: int) -> EditStep:
        if not isinstance(value, dict) or not isinstance(value.get("step"), str):
            raise self._error(at, "step", 'a step is a table such as {step = "jpeg", quality = 80}')
        kind = value["step"]
        if kind not in STEP_FIELDS:
            raise self._error((*at, "step"), "step", str(unknown_name("step", kind, STEP_FIELDS)))
        if kind == "decode" and position:
            raise self._error((*at, "step"), "step", "decode can only be the first step")
        fields = STEP_FIELDS[kind]
        self._table(value, at, f"a step {kind}", ("step", *fields, *_ABOUT))
        self._check_about(value, at)
        values: dict[str, Any] = {}
        for name, field in fields.items():
            if name in value:
                try:
                    values[name] = field.checked(value[name])
                except ValueError as error:
                    raise self._error((*at, name), name, str(error)) from None
            elif field.required:
                raise self._error(at, name, f"a step {kind} needs it")
        wrong = objection(kind, values)
        if wrong is not None:
            raise self._error((*at, wrong[0]), *wrong)
        return EditStep(kind, tuple((name, values.get(name, field.default)) for name, field in fields.items()))

    def _parameter(self, value: Any, at: Place, processings: Mapping[str, Processing]) -> Parameter:
        table = self._table(value, at, "a parameter", ("name", "title", "explain", "classes", *_ABOUT))
        name = self._name(table, at, "parameter")
        self._check_about(table, at)
        texts = {field: table.get(field, "") for field in ("title", "explain")}
        for field, text in texts.items():
            if not isinstance(text, str) or len(text) > MAX_TEXT or not is_readable(text):
                raise self._error((*at, field), field, f"text of at most {MAX_TEXT} plain characters is needed")
        classes = table.get("classes")
        if not isinstance(classes, dict) or not 2 <= len(classes) <= MAX_CLASSES:
            what = f"a table of 2 to {MAX_CLASSES} classes, class = processing, is needed"
            raise self._error((*at, "classes"), "classes", what)
        for label, made_by in classes.items():
            place = (*at, "classes", label)
            if len(label) > MAX_NAME or not _NAME.fullmatch(label):
                clause = f"{label[:MAX_NAME]!r} is no name: letters, digits, '_', '.' and '-', at most {MAX_NAME}"
                raise self._error(place, "classes", clause)
            if not isinstance(made_by, str) or made_by not in processings:
                raise self._error(place, label, str(unknown_name("processing", str(made_by)[:MAX_NAME], processings)))
        if len(set(classes.values())) != len(classes):
            raise self._error((*at, "classes"), "classes", f"two classes of {name} are the same processing")
        made = tuple(processings[made_by] for made_by in classes.values())
        built_in = BUILT_IN.get(name)
        if built_in is None:
            return Parameter(name, tuple(classes), made, **texts)
        if (built_in.classes, built_in.made_by) != (tuple(classes), made):
            raise self._error((*at, "name"), "name", f"{name} is built in with other classes: choose another name")
        return built_in

    def _name(self, table: Mapping[str, Any], at: Place, what: str) -> str:
        name = table.get("name")
        if not isinstance(name, str) or len(name) > MAX_NAME or not _NAME.fullmatch(name):
            shown = f"{name[:MAX_NAME]!r} is no name" if isinstance(name, str) else "it is missing or no text"
            raise self._error((*at, "name"), "name", f"{shown}: letters, digits, '_', '.' and '-', at most {MAX_NAME}")
        if name in RESERVED:
            raise self._error((*at, "name"), "name", f"no {what} can be called {name}, which has another meaning")
        return name

    def _check_about(self, table: Mapping[str, Any], at: Place) -> None:
        source, guess = table.get("source", ""), table.get("guess", False)
        if not isinstance(source, str) or len(source) > MAX_TEXT or not is_readable(source):
            raise self._error((*at, "source"), "source", f"text of at most {MAX_TEXT} plain characters is needed")
        if not isinstance(guess, bool):
            raise self._error((*at, "guess"), "guess", "true or false is needed")

    def _table(self, value: Any, at: Place, what: str, known: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._error(at, str(at[0] if at else "file"), f"{what} is a table")
        for field in value:
            if field not in known:
                shown = field[:MAX_NAME]
                raise self._error((*at, field), shown, str(unknown_name(f"field of {what}", shown, known)))
        return value

    def _list(self, table: Mapping[str, Any], at: Place, field: str, least: int, most: int) -> list[Any]:
        value = table.get(field, [] if least == 0 else None)
        if not isinstance(value, list) or not least <= len(value) <= most:
            number = f"{len(value)} are" if isinstance(value, list) else "none is"
            raise self._error((*at, field), field, f"{least} to {most} are needed, and {number} stated")
        return value

    def _error(self, at: Place, field: str, clause: str) -> UsageError:
        """The error of a value; its line is that of the nearest part of the file that has one."""
        line = next((self._lines[at[:n]] for n in range(len(at), 0, -1) if at[:n] in self._lines), None)
        steps = [f"step {int(at[i + 1]) + 1}" for i in range(len(at) - 1) if at[i] == "steps"]
        table = f"{at[0]} {int(at[1]) + 1}" if len(at) > 1 else ""
        place = f"line {line or 1}" if self._lines else table
        parts = [part for part in (place, *steps, field) if part]
        return UsageError(f"--processings {self._where}: {', '.join(parts)}: {clause}")
