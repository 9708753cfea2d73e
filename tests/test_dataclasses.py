"""Values are frozen dataclasses; those that code changes while it works stand here with what they hold."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]

CHANGED = {
    "Tally": "counts of an audit, to which every block adds",
    "_DeviceProcess": "a process and its outcome once it has ended",
    "EncoderState": "an encoder during a pass: time and the first failure",
    "PhotoInputs": "what a model is asked about a photo, view by view",
    "PassMember": "what a pass still has to write for an encoder",
    "Shown": "the photos that a page names, collected while it is written",
    "Iterates": "the solver's point, moved by every step",
    "Reader": "a solver's parameters while it trains",
    "EncoderRun": "scores and costs of an encoder, added task by task",
    "_Run": "the state of one run of any size",
    "_Worker": "a worker process and the views that it still has to make",
    "_Photo": "a photo of two builds, filled from both",
    "States": "states of jobs, updated as their markers appear",
    "_Bucket": "what is left of an hour's calls",
    "FetchCounts": "counts of a download",
    "Refreshed": "counts of a refresh",
    "ImportCounts": "counts of an import",
    "PairCamsConfig": "filled from a parser's arguments",
    "StructureOfJpeg": "filled segment by segment",
    "ProcessedPhotosConfig": "filled from a parser's arguments",
    "Fetched": "bytes and seconds of a transfer so far",
    "TransferLimit": "what a transfer has left",
}
"""Name of a dataclass that is not frozen -> what it collects."""


def dataclasses_of_code():
    """(name, keyword arguments of the decorator) of every dataclass."""
    for package in ("benchmark", "builders"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef):
                    for mark in node.decorator_list:
                        name = mark.func if isinstance(mark, ast.Call) else mark
                        if ast.unparse(name) in ("dataclass", "dataclasses.dataclass"):
                            given = mark.keywords if isinstance(mark, ast.Call) else []
                            yield node.name, {k.arg: ast.literal_eval(k.value) for k in given}


def test_dataclasses__are_frozen_unless_they_collect():
    given = list(dataclasses_of_code())
    assert {name for name, options in given if not options.get("frozen")} == set(CHANGED)
    assert len(given) > 400
    assert {key for _, options in given for key in options} == {"frozen", "eq", "repr", "kw_only"}
    assert not [name for name, options in given if options.get("eq", False) or options.get("repr", False)]


FIELDS = {
    "Acquisition.raw": "repr",
    "EncoderState.embed": "init",
    "HubPart.window": "compare",
    "Kind.is_local": "kw_only",
    "Observation.file": "compare repr",
    "Observation.flag": "compare",
    "Observation.parts": "compare repr",
    "OnACopy.harm": "compare repr",
    "ParquetPart._cache": "repr compare",
    "ProbeAnswers.features": "repr",
    "StreamRequest.photos": "compare",
    "TaskInput.shared": "compare",
}
"""Field -> what it is left out of, or how it is given."""


def test_fields__that_comparison_and_text_leave_out():
    made = {}
    for package in ("benchmark", "builders"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef):
                    for field in node.body:
                        call = getattr(field, "value", None)
                        if isinstance(call, ast.Call) and ast.unparse(call.func) in ("field", "dataclasses.field"):
                            given = {key.arg: key.value for key in call.keywords if not key.arg.startswith("default")}
                            if given:
                                assert {ast.unparse(value) for value in given.values()} <= {"False", "True"}
                                assert all(value.value == (key == "kw_only") for key, value in given.items())
                                made[f"{node.name}.{ast.unparse(field.target)}"] = " ".join(given)
    assert made == FIELDS
