"""Lines of values against the place where each stands in the text, and the forms of fields one by one."""

import math
import sys

import pytest

from builders.pixels.definitions.fields import STEP_FIELDS, Field, objection
from builders.pixels.definitions.lines import toml_lines

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TEXTS = [
    "a = 101\nb = 102",
    "# a = 9\na = 101 # [b] = {c\n\n[t]\nb = 102\n[t.u]\nc = 103\n[v]\nd = 104\n",
    "[[p]]\na = 101\n[[p]]\na = 102\n[[p.q]]\nb = 103\n[[p.q]]\nb = 104\n[[p]]\n[[p.q]]\nb = 105\n[p.q.r]\nc = 106",
    "a = [101, 102,\n  103,\n\n  # none\n  104,\n]\nb = [[105], [\n106]]\nc = 107",
    "a = {b = 101, c = {d = 102}, e = [103, {f = 104}]}\ng = 105",
    "a = [\n  {b = 101, c = 102},\n  {b = 103},\n]\n[[x]]\ny = [{z = 104}, {z = 105}]",
    "a.b.c = 101\na.d = 102\n[t.u.v]\nw.x = 103\n",
    '"a b" = 101\n\'c.d\' = 102\n["t#".u]\n"[" = 103\n',
    'a = \'\'\'x\n[b]\nc = 9\'\'\'\nb = 101\nc = """\\"""\nd = 9\n"""\ne = 102',
    'f = "\\"#"\ng = 103\nh = \'#\'\ni = 104',
    "a = true\nb = 1979-05-27T07:32:00Z\nc = -101\nd = +102\ne = 0x67\nf = 104",
    "[[p]]\n[p.q]\na = 101\n[[p]]\n[p.q]\na = 102\n[p.q.r]\nb = 103",
    "a = []\nb = {}\nc = [[], {}]\nd = 101\n",
    "\ta=101\r\n\r\nb\t=\t[ 102 ,103 ]\r\n",
]


def leaves(value, at=()):
    """(place, whole number) of each number in a document."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, (*at, name))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from leaves(item, (*at, i))
    elif isinstance(value, int) and not isinstance(value, bool):
        yield at, value


@pytest.mark.parametrize("text", TEXTS)
def test_toml_lines__each_number_stands_where_its_text_does(text):
    """Numbers from 101 on are in a text once; of 0x67 the text is another."""
    lines, count = toml_lines(text), 0
    for place, number in leaves(tomllib.loads(text)):
        written = "0x67" if number == 103 and "0x67" in text else str(number)
        assert text.count(written) == 1
        assert lines[place] == text[: text.index(written)].count("\n") + 1, place
        count += 1
        for length in range(1, len(place)):  # a table and an array have the line where they begin
            assert lines[place[:length]] <= lines[place]
    assert count >= 1


def test_toml_lines__of_tables_arrays_and_elements():
    lines = toml_lines("x = 1\n[t]\n\n[[p]]\nq = [\n  {r = 1},\n\n  {r = 2},\n]\n[[p]]\n\n[t.u.v]\nw.x = 3\n")
    assert lines == {
        ("x",): 1,
        ("t",): 2,
        ("p",): 4,
        ("p", 0): 4,
        ("p", 0, "q"): 5,
        ("p", 0, "q", 0): 6,
        ("p", 0, "q", 0, "r"): 6,
        ("p", 0, "q", 1): 8,
        ("p", 0, "q", 1, "r"): 8,
        ("p", 1): 10,
        ("t", "u"): 12,
        ("t", "u", "v"): 12,
        ("t", "u", "v", "w"): 13,
        ("t", "u", "v", "w", "x"): 13,
    }
    assert toml_lines("") == {}


WHOLE, FREE = Field(2, 5, whole=True, random=True), Field(0.5, 4, random=True)
FLAG, TEXT, FIXED, TABLES = Field(flag=True), Field(choices=("a", "b")), Field(1, 3), Field(tables=True)
ROW = list(range(1, 65))


@pytest.mark.parametrize(
    ("field", "value", "result"),
    [
        (WHOLE, 2, 2),
        (WHOLE, 5, 5),
        (WHOLE, 1, "1 is not between 2 and 5"),
        (WHOLE, 6, "6 is not between 2 and 5"),
        (WHOLE, 3.0, "3.0 is no whole number"),
        (WHOLE, True, "True is no number"),
        (WHOLE, "3", "'3' is no number"),
        (WHOLE, None, "None is no number"),
        (WHOLE, [2, 5], (2, 5)),
        (WHOLE, [3, 3], "the range 3 to 3 does not rise"),
        (WHOLE, [5, 2], "the range 5 to 2 does not rise"),
        (WHOLE, [2, 6], "6 is not between 2 and 5"),
        (WHOLE, [2], "a range has two numbers, not 1"),
        (WHOLE, [2, 3, 4], "a range has two numbers, not 3"),
        (WHOLE, [2, 3.5], "3.5 is no whole number"),
        (FREE, 0.5, 0.5),
        (FREE, 4, 4.0),
        (FREE, 0.49, "0.49 is not between 0.5 and 4"),
        (FREE, math.inf, "inf is no number"),
        (FREE, math.nan, "nan is no number"),
        (FREE, [1, 2], (1.0, 2.0)),
        (FREE, [1, [2]], "[2] is no number"),
        (FIXED, [1, 2], "it takes one number, not a range"),
        (FIXED, 2, 2.0),
        (FLAG, True, True),
        (FLAG, False, False),
        (FLAG, 1, "1 is neither true nor false"),
        (FLAG, "true", "'true' is neither true nor false"),
        (TEXT, "b", "b"),
        (TEXT, "c", "'c' is none of a, b"),
        (TEXT, ["a"], "['a'] is none of a, b"),
        (TEXT, "x" * 90, f"'{'x' * 36}... is none of a, b"),
        (TEXT, "x" * 38, f"'{'x' * 38}' is none of a, b"),
        (TEXT, "x" * 39, f"'{'x' * 36}... is none of a, b"),
        (TABLES, [ROW], (tuple(ROW),)),
        (TABLES, [ROW, ROW[::-1]], (tuple(ROW), tuple(ROW[::-1]))),
        *(
            (TABLES, value, "one or two lists of 64 whole numbers from 1 to 255 are needed")
            for value in (
                [], [ROW] * 3, [ROW[1:]], [[*ROW, 1]], ROW, "a", [[0, *ROW[1:]]], [[256, *ROW[1:]]],
                [[1.0, *ROW[1:]]], [[True, *ROW[1:]]], [ROW, None],
            )
        ),
        (TABLES, [[255, *ROW[1:]]], ((255, *ROW[1:]),)),
    ],
)  # fmt: skip
def test_field__of_each_form(field, value, result):
    if isinstance(result, str) and " " in result:
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            field.checked(value)
        assert str(caught.value) == result
    else:
        made = field.checked(value)
        assert made == result
        assert type(made) is type(result)


SIZES = "a size needs width or height, and both for the rules cover and exact"


@pytest.mark.parametrize(
    ("kind", "values", "wrong"),
    [
        ("decode", {}, None),
        ("greyscale", {}, None),
        ("png", {}, None),
        ("blur", {"radius": 1.0}, None),
        ("resize", {}, ("scale", "a resize needs scale or width")),
        ("resize", {"filter": "box"}, ("scale", "a resize needs scale or width")),
        ("resize", {"scale": 0.5}, None),
        ("resize", {"width": 9}, None),
        ("resize", {"height": 9}, None),
        ("resize", {"width": 9, "scale": 0.5}, ("width", "it does not go with scale")),
        ("resize", {"height": 9, "scale": 0.5}, ("height", "it does not go with scale")),
        ("resize", {"enlarge": True, "scale": 0.5}, ("enlarge", "it does not go with scale")),
        ("resize", {"enlarge": False, "scale": 0.5}, None),
        ("resize", {"rule": "fit", "scale": 0.5}, ("rule", "it does not go with scale")),
        ("resize", {"rule": "fit"}, ("width", SIZES)),
        ("resize", {"rule": "fit", "height": 3}, None),
        ("resize", {"rule": "cover", "height": 3}, ("height", SIZES)),
        ("resize", {"rule": "exact", "width": 3}, ("width", SIZES)),
        ("resize", {"rule": "exact", "width": 3, "height": 3}, None),
        ("crop", {}, ("share", "a crop needs share or width or left")),
        ("crop", {"share": 0.5}, None),
        ("crop", {"height": 5}, None),
        ("crop", {"bottom": 0}, None),
        ("crop", {"left": 0, "share": 0.5}, ("left", "it does not go with share")),
        ("crop", {"top": 3, "width": 5}, ("top", "it does not go with width")),
        ("sharpen", {}, ("factor", "a sharpen needs factor or radius")),
        ("sharpen", {"factor": 0.0}, None),
        ("sharpen", {"radius": 1.0, "threshold": 3}, None),
        ("sharpen", {"threshold": 0}, ("radius", "an unsharp mask needs it")),
        ("sharpen", {"factor": 2.0, "percent": 100}, ("percent", "it does not go with factor")),
        ("jpeg", {}, ("quality", "a jpeg needs quality or tables")),
        ("jpeg", {"quality": 9}, None),
        ("jpeg", {"tables": ((1,) * 64,), "quality": 9}, ("tables", "it does not go with quality")),
        ("webp", {"quality": 0}, None),
        ("webp", {"lossless": True}, None),
        ("webp", {"lossless": False}, ("quality", "a webp needs quality or lossless")),
        ("webp", {"lossless": False, "quality": 3}, None),
        ("jxl", {"lossless": True, "quality": 3}, ("lossless", "it does not go with quality")),
        ("avif", {}, ("quality", "a avif needs quality")),
        ("heic", {"chroma": "4:2:0"}, ("quality", "a heic needs quality")),
        ("heic", {"quality": 0}, None),
    ],
)
def test_objection__fields_that_do_not_go_together(kind, values, wrong):
    assert set(values) <= set(STEP_FIELDS[kind])
    assert objection(kind, values) == wrong
