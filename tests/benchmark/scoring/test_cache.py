"""``camtrace cache``: what is listed is what lies there, and only what was meant is removed."""

import json
import os
import shutil
import time

import pytest

from benchmark.__main__ import camtrace
from benchmark.cli.score import main
from benchmark.scoring import chosen, clear, entries
from builders.errors import UsageError

pytestmark = pytest.mark.usefixtures("unpainted", "brief", "short_projection")


@pytest.fixture(scope="module")
def used(tmp_path_factory, photo_folder):
    """A cache after a run of one task."""
    root = tmp_path_factory.mktemp("cache")
    words = ["-m", "control:random-projection", "-d", f"folder:{photo_folder}", "-t", "probe/sharpening"]
    assert main([*words, "--workers", "0", "--cache", str(root / "c"), "-o", str(root / "out"), "--quiet"]) == 0
    return root / "c"


def run(capsys, *words):
    status = camtrace(["cache", *words])
    output = capsys.readouterr()
    return status, output.out, output.err


def test_list__names_what_a_run_stored(used, capsys):
    status, out, _ = run(capsys, "list", "--cache", str(used), "--json")
    rows = {row["name"].partition("/")[0]: row for row in json.loads(out)["entries"]}
    assert status == 0
    assert set(rows) == {"banks", "gates", "outcomes", "photo-hashes"}
    dim = 3 * 2048
    assert rows["banks"]["about"].startswith("control:random-projection, 36 photos x 3 views x ")
    assert rows["outcomes"]["about"] == "probe/sharpening of control:random-projection, 36 photos"
    on_disk = sum(path.stat().st_blocks * 512 for path in (used / "banks").rglob("*") if path.is_file())
    assert rows["banks"]["bytes"] == on_disk > dim
    status, out, _ = run(capsys, "list", "--cache", str(used))
    assert "4 entries" in out
    assert rows["banks"]["name"] in out


def test_clear__what_is_meant_and_nothing_else(used, tmp_path, capsys):
    cache = tmp_path / "c"
    shutil.copytree(used, cache)
    (cache / "precious").mkdir()
    (cache / "precious" / "thesis.txt").write_text("mine")
    before = {entry.name for entry in entries(cache)}
    assert "precious/thesis.txt" in before
    status, out, _ = run(capsys, "clear", "all", "--dry-run", "--cache", str(cache))
    assert (status, {e.name for e in entries(cache)}) == (0, before)
    assert out.startswith("would remove 4 entries")
    bank = next(name for name in before if name.startswith("banks/"))
    assert run(capsys, "clear", bank, "--cache", str(cache))[0] == 0
    assert {entry.name for entry in entries(cache)} == before - {bank}
    assert run(capsys, "clear", "all", "--cache", str(cache))[0] == 0
    assert [entry.name for entry in entries(cache)] == ["precious/thesis.txt"]
    assert run(capsys, "list", "--cache", str(tmp_path / "none"))[0] == 0


def test_clear__by_age(used, tmp_path):
    for name, days in (("new", 1), ("old", 40)):
        folder = tmp_path / "banks" / name
        folder.mkdir(parents=True)
        (folder / "key.json").write_text("{}")
        at = time.time() - days * 86_400
        for path in (folder / "key.json", folder):
            os.utime(path, (at, at))
    assert [entry.name for entry in chosen(tmp_path, ["banks"], older_than_days=30)] == ["banks/old"]
    assert clear(chosen(tmp_path, ["banks"], older_than_days=30)) > 0
    assert [entry.name for entry in entries(tmp_path)] == ["banks/new"]


def test_clear__a_name_that_nothing_has(tmp_path, capsys):
    (tmp_path / "banks").mkdir()
    with pytest.raises(UsageError, match="'banks'"):
        chosen(tmp_path, ["bank"])
    status, _, err = run(capsys, "clear", "bank", "--cache", str(tmp_path))
    assert (status, "did you mean" in err) == (2, True)
    assert run(capsys, "clear", "banks", "--older-than", "-1", "--cache", str(tmp_path))[0] == 2
    assert run(capsys, "clear", "--cache", str(tmp_path))[0] == 2


def flip_a_bit(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)


def test_check__names_what_is_not_as_it_was_written(used, tmp_path, capsys):
    cache = tmp_path / "c"
    shutil.copytree(used, cache)
    status, out, _ = run(capsys, "check", "--cache", str(cache))
    assert (status, "4 entries" in out, "0 are not as they were written" in out) == (0, True, True)
    for pattern, name in (("banks/*/views/*/rows.npy", "banks"), ("outcomes/*/outcome.npz", "outcomes")):
        flip_a_bit(next(cache.glob(pattern)))
        status, out, _ = run(capsys, "check", name, "--cache", str(cache))
        damaged = [line for line in out.splitlines() if line.startswith(f"{name}/")]
        assert (status, len(damaged)) == (1, 1)
        assert "do not match their checksums" in damaged[0] or "cannot be read" in damaged[0]


def test_check_and_clear__print_records_for_programs(used, tmp_path, capsys):
    cache = tmp_path / "c"
    shutil.copytree(used, cache)
    here = entries(cache)
    flip_a_bit(next(cache.glob("outcomes/*/outcome.npz")))
    status, out, err = run(capsys, "check", "--json", "--quiet", "--cache", str(cache))
    record = json.loads(out)
    assert (status, record["entries"], record["bytes"], err) == (1, 4, sum(entry.size for entry in here), "")
    assert [damage["name"].partition("/")[0] for damage in record["damaged"]] == ["outcomes"]
    status, out, _ = run(capsys, "clear", "banks", "--json", "--cache", str(cache))
    banks = [entry for entry in here if entry.kind == "banks"]
    assert (status, json.loads(out)["removed"]) == (0, [entry.name for entry in banks])
    assert json.loads(out)["bytes"] == sum(entry.size for entry in banks)
    assert json.loads(out)["dry_run"] is False


def test_score__damaged_outcomes_and_banks_are_reported_and_computed_again(used, photo_folder, tmp_path, capsys):
    cache, out = tmp_path / "c", tmp_path / "out"
    shutil.copytree(used, cache)
    words = ["-m", "control:random-projection", "-d", f"folder:{photo_folder}", "-t", "probe/sharpening"]
    for pattern in ("banks/*/views/*/rows.npy", "outcomes/*/outcome.npz"):
        flip_a_bit(next(cache.glob(pattern)))
    assert main([*words, "--workers", "0", "--cache", str(cache), "-o", str(out)]) == 0
    printed = capsys.readouterr().err
    assert "checksums" in printed
    assert (out / "answers.npz").read_bytes() == (used.parent / "out" / "answers.npz").read_bytes()
    assert run(capsys, "check", "--cache", str(cache))[0] == 0
