"""Both sides of every bound of a processing file, the names that it cannot give, and the fields that are for people."""

import re

import pytest

from builders.errors import UsageError
from builders.pixels import read_definitions

PNG, JPEG = '{step = "png"}', '{step = "jpeg", quality = 80}'


def processing(name="a", steps=PNG, more=""):
    return f'[[processing]]\nname = "{name}"\nsteps = [{steps}]\n{more}'


def parameter(name="p", classes='{x = "a", y = "b"}', more=""):
    return f'[[parameter]]\nname = "{name}"\nclasses = {classes}\n{more}'


TWO = processing("a") + processing("b", JPEG)


@pytest.fixture
def read(tmp_path):
    """The definitions of tables, or the sentence that refuses them without file and line."""

    def of(*tables):
        path = tmp_path / "mine.toml"
        path.write_text("schema = 1\n" + "".join(tables), encoding="utf-8")
        try:
            return read_definitions(str(path))
        except UsageError as refused:
            return re.sub(r"^--processings .*mine\.toml: line \d+, ", "", str(refused))

    return of


def names(many):
    return [f"n{i}" for i in range(many)]


@pytest.mark.parametrize("many", [1, 200, 201])
def test_processings__at_most_200(read, many):
    made = read(*map(processing, names(many)))
    if many <= 200:
        assert list(made.processings) == names(many)
    else:
        assert made == "processing: 1 to 200 are needed, and 201 are stated"


@pytest.mark.parametrize("many", [0, 50, 51])
def test_parameters__at_most_50(read, many):
    made = read(TWO, *map(parameter, names(many)))
    if many <= 50:
        assert list(made.parameters) == names(many)
    else:
        assert made == "parameter: 0 to 50 are needed, and 51 are stated"


@pytest.mark.parametrize("many", [1, 2, 64, 65])
def test_classes__two_to_64(read, many):
    classes = ", ".join(f'c{name} = "{name}"' for name in names(many))
    made = read(*map(processing, names(many)), parameter(classes=f"{{{classes}}}"))
    if 2 <= many <= 64:
        assert made.parameters["p"].classes == tuple(f"c{name}" for name in names(many))
        assert made.parameters["p"].processings == tuple(names(many))
    else:
        assert made == "classes: a table of 2 to 64 classes, class = processing, is needed"


@pytest.mark.parametrize("decoded", [False, True])
@pytest.mark.parametrize("many", [1, 5, 6, 7])
def test_steps__one_to_five_besides_the_decoding(read, many, decoded):
    made = read(processing(steps=", ".join(['{step = "decode"}'] * decoded + [PNG] * many)))
    if many <= 5:
        assert len(made.processings["a"].before) == many - 1
    elif many + decoded == 6:
        assert made == "steps: a has 6 steps, and 1 to 5 are allowed"
    else:
        assert made in (
            "steps: a has 6 steps, and 1 to 5 are allowed", f"steps: 1 to 6 are needed, and {many + decoded} are stated"
        )  # fmt: skip


NO_NAME = "letters, digits, '_', '.' and '-', at most 64"


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("a" * 64, True), ("a" * 65, False), ("0", True), ("A.b-c_d", True), ("_a", False), (".a", False),
        ("-a", False), ("a b", False), ("", False), ("\u00e4", False), ("a\u0661", False), ("a=b", False),
    ],
)  # fmt: skip
def test_names__of_processings_parameters_and_classes(read, name, valid):
    shown = f"{name[:64]!r} is no name: {NO_NAME}"
    of_class = parameter(classes=f'{{"{name}" = "a", y2 = "b"}}')
    for made, field in ((read(processing(name)), "name"), (read(TWO, parameter(name)), "name"),
                        (read(TWO, of_class), "classes")):  # fmt: skip
        assert (not isinstance(made, str)) if valid else (made == f"{field}: {shown}")


RESERVED = [
    "image", "photo_id", "label", "scale", "width", "height", "source_sha256", "source_quality", "source_subsampling",
    "original", "adversary", "pairs", "masked", "whole",
]  # fmt: skip


@pytest.mark.parametrize("name", RESERVED)
def test_names__with_another_meaning(read, name):
    """Columns of built sets, and other views; a class may have such a name."""
    assert read(processing(name)) == f"name: no processing can be called {name}, which has another meaning"
    made = read(TWO, parameter(name))
    assert made == f"name: no parameter can be called {name}, which has another meaning"
    assert read(TWO, parameter(classes=f'{{{name} = "a", y = "b"}}')).parameters["p"].classes == (name, "y")


@pytest.mark.parametrize("length", [0, 300, 301])
def test_texts__of_at_most_300_characters(read, length):
    text, refused = "x" * length, "text of at most 300 plain characters is needed"
    for field in ("title", "explain"):
        made = read(TWO, parameter(more=f'{field} = "{text}"\n'))
        if length <= 300:
            assert getattr(made.parameters["p"], field) == text
        else:
            assert made == f"{field}: {refused}"
    of_step = PNG.replace("}", f', source = "{text}"}}')
    for made in (read(processing(more=f'source = "{text}"\n')), read(processing(steps=of_step)),
                 read(TWO, parameter(more=f'source = "{text}"\n'))):  # fmt: skip
        assert (not isinstance(made, str)) if length <= 300 else made.endswith(f"source: {refused}")


@pytest.mark.parametrize("value", ["true", "false", "1", '"yes"'])
def test_about__fields_for_people_stand_everywhere_and_are_no_identity(read, value):
    about = f'source = "a page"\nguess = {value}\n'
    of_step = PNG.replace("}", f', source = "a page", guess = {value}}}')
    plain = read(TWO, parameter())
    for made in (read(processing("a", more=about), processing("b", JPEG), parameter()),
                 read(processing("a", of_step), processing("b", JPEG), parameter()),
                 read(TWO, parameter(more=about))):  # fmt: skip
        if value in ("true", "false"):
            assert made == plain
        else:
            assert made.endswith("guess: true or false is needed")
    assert read("guess = true\n", TWO).startswith("guess: unknown field of the file")


def test_text__is_canonical(read):
    """Steps without what is at its default, whether it is stated or not; parameters with all of their texts."""
    steps = '{step = "resize", scale = 0.5, filter = "bilinear", enlarge = false}, {step = "jpeg", quality = 80}'
    made = read(processing("a", steps), processing("b"), parameter(more='title = "T"\n'))
    assert made.text == (
        '{"schema":1,"processing":[{"name":"a","steps":[{"step":"resize","scale":0.5},{"step":"jpeg","quality":80}]},'
        '{"name":"b","steps":[{"step":"png"}]}],'
        '"parameter":[{"name":"p","title":"T","explain":"","classes":{"x":"a","y":"b"}}]}'
    )
    assert read_definitions(made.text) == made
