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
        ("seed = [1, 2]", "seed takes one value, not a list"),
        ("seed = {a = 1}", "seed takes text, a number, true or false"),
        ("seed = true", "seed takes a value, not true or false"),
        ("allow-random = 1", "allow-random is true or false"),
        ("seed =", "not TOML"),
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
