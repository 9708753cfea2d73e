"""Processing files: what a file means is its identity, and a wrong one is one sentence with line and field."""

import json
import re
from pathlib import Path

import pytest

from builders.errors import UsageError
from builders.pixels import (
    ALL_PARAMETERS,
    ALL_PROCESSINGS,
    BUILT_IN,
    PARAMETERS,
    PRESETS,
    PROCESSINGS,
    STUDY_PARAMETERS,
    STUDY_PROCESSINGS,
    EditStep,
    Processing,
    chosen_processings,
    codec_canary,
    read_definitions,
    use_processings,
)
from builders.pixels.definitions.read import MAX_BYTES
from builders.pixels.processing import Fit

FILE = """schema = 1

[[processing]]
name = "small"
steps = [
  {step = "resize", width = 640, filter = "lanczos"},
  {step = "webp", quality = 80},
]

[[processing]]
name = "plain"
steps = [{step = "jpeg", quality = 80}]

[[parameter]]
name = "pipeline"
classes = {small = "small", plain = "plain"}
"""


@pytest.fixture(autouse=True)
def built_in():
    yield
    use_processings("")


def read(tmp_path: Path, text: str):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return read_definitions(str(path))


def test_read_definitions__study_restates_the_built_in_parameters_with_equal_keys():
    definitions = read_definitions("study")
    assert dict(definitions.parameters) == {name: BUILT_IN[name] for name in STUDY_PARAMETERS}
    assert tuple(definitions.processings) == STUDY_PROCESSINGS
    for name, processing in definitions.processings.items():
        assert json.dumps(processing.key()) == json.dumps(ALL_PROCESSINGS[name].key())  # 2 is not 2.0 in a key
    assert chosen_processings("study") == ""


@pytest.mark.parametrize("preset", PRESETS)
def test_read_definitions__a_preset_is_its_canonical_text(preset):
    definitions = read_definitions(preset)
    assert read_definitions(definitions.text) == definitions
    assert "\n" not in definitions.text
    assert definitions.text.isascii()


def test_read_definitions__steps_become_the_fields_of_a_processing(tmp_path):
    text = """
schema = 1
[[processing]]
name = "chain"
steps = [
  {step = "decode"},
  {step = "sharpen", factor = 2},
  {step = "jpeg", quality = [60, 90], chroma = "4:4:4", progressive = true},
  {step = "crop", share = [0.5, 0.9]},
  {step = "resize", width = 100, height = 50, rule = "outside", filter = "box"},
  {step = "jpeg", quality = 30},
]
"""
    chain = read(tmp_path, text).processings["chain"]
    first = Processing("", sharpness=2, options=(("progressive", True),), random=(("quality", (60, 90)),))
    assert chain.before == (first,)
    crop = ("share", (0.5, 0.9)), *((name, None) for name in ("width", "height", "left", "top", "right", "bottom"))
    assert chain.edits == (EditStep("crop", crop),)
    assert (chain.fit, chain.resample.name) == (Fit(100, 50, "outside", False), "BOX")
    assert (chain.quality, chain.subsampling, chain.scale) == (30, "4:2:0", 1)


def test_read_definitions__comments_spaces_and_the_order_of_fields_are_no_identity(tmp_path):
    other = FILE.replace("{step = ", "{ step  =  ").replace("\n\n", "\n# a comment\n\n\n")
    other = other.replace('width = 640, filter = "lanczos"', 'filter = "lanczos", source = "here", width = 640')
    assert other != FILE
    assert read(tmp_path, other) == read(tmp_path, FILE)


CHANGES = {
    "a quality": ("quality = 80}]", "quality = 81}]"),
    "a size": ("640", "641"),
    "a filter": ("lanczos", "bicubic"),
    "a step more": ('{step = "resize"', '{step = "greyscale"}, {step = "resize"'),
    "a class": ("classes = {small", "classes = {tiny"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_read_definitions__another_meaning_is_another_identity(tmp_path, change):
    old, new = CHANGES[change]
    assert FILE.count(old) == 1
    before, after = read(tmp_path, FILE), read(tmp_path, FILE.replace(old, new))
    assert before.text != after.text
    if change != "a class":
        keys = [{name: p.key() for name, p in d.processings.items()} for d in (before, after)]
        assert keys[0] != keys[1]


def test_read_definitions__the_order_of_steps_is_identity_and_changes_the_canary(tmp_path):
    steps = ['{step = "blur", radius = 2.0}', '{step = "greyscale"}']
    texts = [
        f'schema = 1\n[[processing]]\nname = "a"\nsteps = [{", ".join(order)}, {{step = "jpeg", quality = 80}}]\n'
        for order in (steps, steps[::-1])
    ]
    first, second = (read(tmp_path, text).processings["a"] for text in texts)
    assert first.key() != second.key()
    assert codec_canary([first]) != codec_canary([second])


def test_use_processings__mappings_follow_and_are_restored(tmp_path):
    before = [dict(mapping) for mapping in (ALL_PARAMETERS, PARAMETERS, ALL_PROCESSINGS, PROCESSINGS)]
    (tmp_path / "mine.toml").write_text(FILE, encoding="utf-8")
    use_processings(chosen_processings(str(tmp_path / "mine.toml")))
    assert list(PARAMETERS) == ["pipeline"]
    assert list(PROCESSINGS) == ["small", "plain"]
    assert list(ALL_PARAMETERS) == [*BUILT_IN, "pipeline"]
    assert list(ALL_PROCESSINGS) == [*before[2], "small", "plain"]  # the order in which banks store them
    use_processings("")
    assert [dict(mapping) for mapping in (ALL_PARAMETERS, PARAMETERS, ALL_PROCESSINGS, PROCESSINGS)] == before


def test_use_processings__what_a_file_restates_stays_in_its_place(tmp_path):
    built_in = list(ALL_PROCESSINGS)
    restated = '[[processing]]\nname = "jpeg-q85-444"\nsteps = [{step = "jpeg", quality = 85, chroma = "4:4:4"}]\n'
    (tmp_path / "mine.toml").write_text(f"{FILE}{restated}", encoding="utf-8")
    use_processings(chosen_processings(str(tmp_path / "mine.toml")))
    assert list(PROCESSINGS) == ["small", "plain", "jpeg-q85-444"]
    assert list(ALL_PROCESSINGS) == [*built_in, "small", "plain"]


HEAD = "schema = 1\n[[processing]]\n"
ONE = HEAD + 'name = "a"\nsteps = [\n  %s,\n]\n'
"""A file whose step is in line 5."""
TWO = (
    HEAD + 'name = "a"\nsteps = [{step = "png"}]\n[[processing]]\nname = "b"\nsteps = [{step = "jpeg", quality = 9}]\n'
)
WRONG = {
    "no schema": ('[[processing]]\nname = "a"\n', "line 1, schema: schema = 1 is needed"),
    "another schema": ("schema = 2\n", "line 1, schema: schema = 1 is needed"),
    "schema is true": ("schema = true\n", "line 1, schema: schema = 1 is needed"),
    "no processing": ("schema = 1\n", "line 1, processing: 1 to 200 are needed, and none is stated"),
    "an unknown table": ("schema = 1\n[[processings]]\n", "line 2, processings: unknown field of the file"),
    "no name": (HEAD + 'steps = [{step = "png"}]\n', "line 2, name: it is missing or no text"),
    "a name with a slash": (HEAD + 'name = "a/b"\n', "line 3, name: 'a/b' is no name"),
    "a name of dots": (HEAD + 'name = ".."\n', "line 3, name: '..' is no name"),
    "a long name": (HEAD + f'name = "{"a" * 65}"\n', "line 3, name: '" + "a" * 64 + "' is no name"),
    "a name with another meaning": (HEAD + 'name = "original"\n', "line 3, name: no processing can be called original"),
    "a built-in name": (
        HEAD + 'name = "jpeg-q75-420"\nsteps = [{step = "png"}]\n',
        "line 3, name: jpeg-q75-420 is built",
    ),
    "a name twice": (TWO.replace('"b"', '"a"'), "line 6, name: a is defined twice"),
    "no steps": (HEAD + 'name = "a"\n', "line 2, steps: 1 to 6 are needed, and none is stated"),
    "too many steps": (ONE % ", ".join(['{step = "png"}'] * 6), "line 4, steps: a has 6 steps, and 1 to 5 are allowed"),
    "only decode": (ONE % '{step = "decode"}', "line 4, steps: a has 0 steps"),
    "a step as text": (ONE % '"jpeg"', "line 5, step 1, step: a step is a table"),
    "an unknown step": (ONE % '{step = "jpg"}', "line 5, step 1, step: unknown step 'jpg': did you mean"),
    "an unknown field": (ONE % '{step = "png", quality = 3}', "line 5, step 1, quality: unknown field of a step png"),
    "decode later": (ONE % '{step = "png"}, {step = "decode"}', "line 5, step 2, step: decode can only be the first"),
    "no file at the end": (ONE % '{step = "greyscale"}', "line 5, step 1, step: a ends in greyscale"),
    "no file at the end, after decode": (
        ONE % '{step = "decode"},\n  {step = "orient", exif = 6},\n  {step = "blur", radius = 1}',
        "line 7, step 3, step: a ends in blur: the last step is one of jpeg, webp, avif, heic, jxl, png",
    ),
    "quality too high": (ONE % '{step = "jpeg", quality = 101}', "step 1, quality: 101 is not between 1 and 100"),
    "quality as text": (ONE % '{step = "jpeg", quality = "9"}', "line 5, step 1, quality: '9' is no number"),
    "quality true": (ONE % '{step = "jpeg", quality = true}', "line 5, step 1, quality: True is no number"),
    "quality not whole": (ONE % '{step = "jpeg", quality = 80.5}', "line 5, step 1, quality: 80.5 is no whole number"),
    "quality 0 and lossless": (
        ONE % '{step = "webp", quality = 0, lossless = true}',
        "line 5, step 1, lossless: it does not go with quality",
    ),
    "a share and a side 0": (
        ONE % '{step = "crop", share = 0.5, left = 0}',
        "line 5, step 1, left: it does not go with share",
    ),
    "no quality": (ONE % '{step = "jpeg"}', "line 5, step 1, quality: a jpeg needs quality or tables"),
    "quality and tables": (
        ONE % ('{step = "jpeg", quality = 9, tables = [[' + ",".join(["9"] * 64) + "]]}"),
        "line 5, step 1, tables: it does not go with quality",
    ),
    "short tables": (ONE % '{step = "jpeg", tables = [[1, 2]]}', "line 5, step 1, tables: one or two lists of 64"),
    "unknown chroma": (ONE % '{step = "jpeg", quality = 9, chroma = "4:1:1"}', "step 1, chroma: '4:1:1' is none of"),
    "no flag": (ONE % '{step = "jpeg", quality = 9, progressive = 1}', "step 1, progressive: 1 is neither true"),
    "a range that falls": (ONE % '{step = "jpeg", quality = [90, 60]}', "quality: the range 90 to 60 does not rise"),
    "a range of three": (
        ONE % '{step = "jpeg", quality = [1, 2, 3]}',
        "step 1, quality: a range has two numbers, not 3",
    ),
    "a range where none is allowed": (
        ONE % '{step = "webp", quality = 9, method = [1, 2]}',
        "method: it takes one number",
    ),
    "infinite": (ONE % '{step = "blur", radius = inf}, {step = "png"}', "line 5, step 1, radius: inf is no number"),
    "a huge blur": (
        ONE % '{step = "blur", radius = 1e9}, {step = "png"}',
        "line 5, step 1, radius: 1000000000.0 is not",
    ),
    "scale and width": (
        ONE % '{step = "resize", scale = 2, width = 9}, {step = "png"}',
        "width: it does not go with scale",
    ),
    "no size": (
        ONE % '{step = "resize", filter = "box"}, {step = "png"}',
        "step 1, scale: a resize needs scale or width",
    ),
    "half of an outside": (
        ONE % '{step = "resize", width = 9, rule = "outside"}, {step = "png"}',
        "width: a size needs width",
    ),
    "a huge resize": (
        ONE % '{step = "resize", width = 99999}, {step = "png"}',
        "width: 99999 is not between 1 and 16384",
    ),
    "a percent of no mask": (
        ONE % '{step = "sharpen", percent = 9}, {step = "png"}',
        "radius: an unsharp mask needs it",
    ),
    "an orientation of 9": (
        ONE % '{step = "orient", exif = 9}, {step = "png"}',
        "step 1, exif: 9 is not between 1 and 8",
    ),
    "a source that is no text": (ONE % '{step = "png", source = 1}', "line 5, step 1, source: text of at most 300"),
    "a guess that is no flag": (
        ONE % '{step = "png", guess = "yes"}',
        "line 5, step 1, guess: true or false is needed",
    ),
    "one class": (
        TWO + '[[parameter]]\nname = "p"\nclasses = {x = "a"}\n',
        "line 10, classes: a table of 2 to 64 classes",
    ),
    "no classes": (TWO + '[[parameter]]\nname = "p"\n', "line 8, classes: a table of 2 to 64 classes"),
    "a class of nothing": (
        TWO + '[[parameter]]\nname = "p"\nclasses = {x = "a", y = "c"}\n',
        "line 10, y: unknown processing",
    ),
    "classes alike": (
        TWO + '[[parameter]]\nname = "p"\nclasses = {x = "a", y = "a"}\n',
        "classes: two classes of p are",
    ),
    "a class with a space": (
        TWO + '[[parameter]]\nname = "p"\n[parameter.classes]\nx = "a"\n"y z" = "b"\n',
        "line 12, classes: 'y z' is no name",
    ),
    "a built-in parameter": (
        TWO + '[[parameter]]\nname = "jpeg"\nclasses = {x = "a", y = "b"}\n',
        "line 9, name: jpeg is built in with other classes",
    ),
    "a title with control characters": (
        TWO + '[[parameter]]\nname = "p"\ntitle = "a\\u001b[2J"\nclasses = {x = "a", y = "b"}\n',
        "line 10, title: text of at most 300",
    ),
    "no TOML": ("schema = = 1", "not TOML"),
    "too large": (f"schema = 1 # {'x' * MAX_BYTES}", "more than the 64 KiB"),
    "many parts of a key": (f"{'a.' * 30_000}a = 1", "line 1"),
}


@pytest.mark.parametrize("case", WRONG)
def test_read_definitions__a_wrong_file_is_one_sentence_with_line_and_field(tmp_path, case):
    text, expected = WRONG[case]
    with pytest.raises(UsageError) as refused:
        read(tmp_path, text)
    message = str(refused.value)
    assert message.startswith("--processings ")
    assert "mine.toml: " in message
    assert expected in message
    assert "\n" not in message
    assert len(message) < 500
    assert message.isprintable()
    if "line" in expected:
        assert re.search(r"mine\.toml: line \d+, ", message)


def test_read_definitions__names_that_are_no_files():
    with pytest.raises(UsageError, match="'wbe'"):
        read_definitions("wbe")
    with pytest.raises(UsageError, match=r"absent\.toml"):
        read_definitions("absent.toml")
    with pytest.raises(UsageError, match="101"):
        read_definitions('{"schema":1,"processing":[{"name":"a","steps":[{"step":"jpeg","quality":101}]}]}')
