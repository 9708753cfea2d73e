"""``--config``: a TOML file of options, bounded, as if its words stood first on the command line."""

import pytest

from benchmark.cli.parser import read_toml, scoring_parser
from builders.errors import UsageError


def parsed(path, text, *words):
    path.write_text(text)
    return scoring_parser().parse_args([*words, "--config", str(path)])


def test_config__options_of_every_kind_and_the_command_line_wins(tmp_path):
    text = 'seed = 3\nmask-ratio = 0.25\nprotocol = "iccv2025"\ntasks = ["probe/*", "knn/jpeg"]\nallow-random = true\n'
    options = parsed(tmp_path / "a.toml", text, "--seed", "7")
    assert (options.seed, options.mask_ratio, options.protocol, options.allow_random) == (7, 0.25, "iccv2025", True)
    assert options.tasks == ["probe/*", "knn/jpeg"]
    assert parsed(tmp_path / "b.toml", "allow-random = false\n").allow_random is False


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("seed = [1, 2]", "seed"),
        ("seed = {a = 1}", "seed"),
        ("seed = true", "seed"),
        ("allow-random = 1", "allow-random"),
        ("seed =", "not TOML"),
        ("seed = []", "seed"),
        ("tasks = [1, [2]]", "tasks"),
        ("tasks = [true]", "tasks"),
    ],
)
def test_config__a_value_of_another_kind_is_one_sentence(tmp_path, text, reason):
    with pytest.raises(UsageError, match=reason):
        parsed(tmp_path / "a.toml", text)


def test_read_toml__64_kib_are_read_and_no_more(tmp_path):
    path, line = tmp_path / "a.toml", b"seed = 1\n"
    path.write_bytes(line + b"#" * (65_536 - len(line)))
    assert read_toml(path) == {"seed": 1}
    path.write_bytes(path.read_bytes() + b"#")
    with pytest.raises(UsageError, match=f"--config {path}: "):
        read_toml(path)


def test_config__values_that_repeat_are_replaced_by_those_of_the_command_line(tmp_path):
    text = 'model = ["a", "b"]\ndata = "sample"\ntasks = "knn/*"\noutputs = ["layers"]\nverbose = true\n'
    options = parsed(tmp_path / "a.toml", text)
    assert (options.model, options.data, options.tasks) == (["a", "b"], ["sample"], ["knn/*"])
    assert (options.outputs, options.verbose, options.config) == (["layers"], True, tmp_path / "a.toml")
    options = parsed(tmp_path / "a.toml", text, "-m", "c", "-t", "probe/*", "--outputs", "layers[1]")
    assert (options.model, options.data, options.tasks) == (["c"], ["sample"], ["probe/*"])
    assert options.outputs == ["layers[1]"]
    assert parsed(tmp_path / "a.toml", "tasks = []").tasks is None


def test_config__a_wrong_value_names_the_file(tmp_path):
    path = tmp_path / "a.toml"
    with pytest.raises(UsageError, match=rf"^{path}: argument --seed: 'x'"):
        parsed(path, 'seed = "x"\n')
    with pytest.raises(UsageError, match=r"^argument --seed: 'y'"):
        parsed(path, 'seed = "x"\n', "--seed", "y")
    with pytest.raises(UsageError, match=f"{tmp_path / 'none.toml'}"):
        scoring_parser().parse_args(["--config", str(tmp_path / "none.toml")])
