"""A function that has a value under the name of an option of the function that it calls passes it on.

An argument that is left out there is no error: the default takes its place in silence.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

ANOTHER_CALL = "the call is of another part of the work, which has no such choice"
NOT_PASSED = {
    ("fixed_views", "RunOptions", "batch_size"): "the views have it themselves",
    ("fixed_views", "RunOptions", "preprocess"): "the views have it themselves",
    ("_score", "photo_interval", "seed"): "nothing is drawn: the interval is not resampled",
    ("_streamed", "from_hub", "limit"): "of a table, not of bytes",
    ("rows", "from_hub", "limit"): "of a table, not of bytes",
    ("_fill", "fill_banks", "blocks"): "the banks know their blocks",
    ("_workbook", "first_line", "most"): "of rows, not of characters",
    ("_moves", "paired_difference", "level"): "judged by its p-value; the level is that of the ratio",
    ("torchvision_model", "group_and_data", "architecture"): "the name of the weights says it",
    ("as_encoder", "on_runtime", "cache"): "of weights, not of compiled networks",
    ("_chosen", "Runtime", "views"): "of the photos, not a choice",
    ("decide", "p_below", "level"): "that of the interval, not of the decision",
    ("_data", "ResultFile", "text"): ANOTHER_CALL,
    ("stratified_split", "stratified_split", "clusters"): "one row a cluster is drawn",
    ("output_runs_of", "OutputRun", "eraser"): "an eraser reads the embedding alone",
    ("score_encoders", "EncoderRun", "photos"): "filled in later",
    ("try_encoders", "Trial", "photos"): "an encoder that fails has none",
    ("fitting_tasks", "fitting_tasks", "answering"): "tasks about answers are chosen already",
    ("torch_views", "torch_views", "photos_at_once"): "the parts are of this size",
    ("_scenes", "ProceduralScenes", "licence"): "procedural scenes have one licence",
    ("_scenes", "ProceduralScenes", "source"): "procedural scenes have one source",
    ("without_copies", "photo_groups", "scenes"): "scenes are what copies are looked for among",
    ("photos_of", "PhotoSet", "columns"): "columns are read afterwards",
    ("_table_files", "file_stamp", "part"): "a part of a data set, not of a file",
    ("read_hub_photos", "PhotoSet", "columns"): "columns are read afterwards",
    ("open_built", "check_data_set", "revision"): "a folder has none",
    ("webdataset_photos", "PhotoSet", "columns"): "columns are read afterwards",
    ("_indexed_shard", "read_untrusted_arrays", "wanted"): "all arrays of the index are read",
}
"""(function, what it calls, option that it does not pass on) -> why."""

Signature = tuple[list[str], set[str]]
"""Parameters in order, and those with a default."""


def signature_of(function: ast.FunctionDef, *, method: bool = False) -> Signature:
    given = function.args
    ordered = [each.arg for each in (*given.posonlyargs, *given.args)][method:]
    optional = set(ordered[len(ordered) - len(given.defaults) :]) if given.defaults else set()
    optional |= {each.arg for each, d in zip(given.kwonlyargs, given.kw_defaults, strict=True) if d is not None}
    return ordered, optional


def signatures(trees: list[ast.Module]) -> dict[str, Signature]:
    """Of functions and classes whose name stands in one module."""
    known = defaultdict(list)
    for tree in trees:
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                known[node.name].append(signature_of(node))
            elif isinstance(node, ast.ClassDef) and any("dataclass" in ast.unparse(d) for d in node.decorator_list):
                fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
                names = [ast.unparse(each.target) for each in fields if "ClassVar" not in ast.unparse(each.annotation)]
                known[node.name].append((names, {ast.unparse(each.target) for each in fields if each.value}))
            elif isinstance(node, ast.ClassDef):
                starts = [each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"]
                known[node.name] += [signature_of(each, method=True) for each in starts]
    return {name: several[0] for name, several in known.items() if len(several) == 1}


def calls(
    node: ast.AST, known: dict[str, Signature], inside: str = "", names: frozenset[str] = frozenset()
) -> Iterator[tuple[str, str, set[str], set[str]]]:
    """(function, what it calls, its own names that are passed on, those that are not) of each call, also by partial."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        given = node.args
        names |= {each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)}
        inside = node.name
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        called, positional = node.func.id, node.args
        if called == "partial" and positional and isinstance(positional[0], ast.Name):
            called, positional = positional[0].id, positional[1:]
        unpacked = any(isinstance(each, ast.Starred) for each in positional) or any(
            k.arg is None for k in node.keywords
        )
        if called in known and not unpacked:
            ordered, optional = known[called]
            passed = {*ordered[: len(positional)], *(str(each.arg) for each in node.keywords)}
            yield inside, called, optional & names & passed, (optional - passed) & names
    for child in ast.iter_child_nodes(node):
        yield from calls(child, known, inside, names)


def test_options__of_a_name_are_passed_on() -> None:
    trees = [
        ast.parse(path.read_text("utf-8"))
        for side in ("benchmark", "builders", "cards")
        for path in sorted((ROOT / side).rglob("*.py"))
    ]
    known = signatures(trees)
    every = [call for tree in trees for call in calls(tree, known)]
    assert sum(len(passed) for _, _, passed, _ in every) > 300
    left_out = {(inside, called, name) for inside, called, _, missing in every for name in missing}
    assert left_out == set(NOT_PASSED)


def test_calls__sees_what_is_left_out() -> None:
    code = (
        "def gate(rows, *, margin=0, lower=False): ...\n"
        "def whole(rows, lower, margin):\n    gate(rows, margin=margin, lower=lower)\n"
        "def part(rows, lower):\n    return lambda: partial(gate, rows, margin=1)\n"
    )
    tree = ast.parse(code)
    assert list(calls(tree, signatures([tree]))) == [
        ("whole", "gate", {"margin", "lower"}, set()),
        ("part", "gate", set(), {"lower"}),
    ]
