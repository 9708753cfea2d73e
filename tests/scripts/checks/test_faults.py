"""A little of ``scripts/checks/faults``: fuzzers of results and answers, and hostile files beside a board."""

import json

import pytest

from benchmark.cli.leaderboard import main
from benchmark.leaderboard.admission import objection
from benchmark.results import read_files
from scripts.checks.faults import __main__ as faults
from scripts.checks.faults import machines
from scripts.checks.faults.interrupt import Tally
from scripts.checks.faults.machines import PLANTED
from scripts.checks.faults.mutations import forgeries, write_board_folder
from scripts.checks.faults.pictures import fuzz_pictures
from scripts.checks.faults.processes import Ended
from scripts.speed.input_checks import without_checks
from tests.support.processes import run_python


def test_results__mutations_are_refused_with_a_reason_or_harmless(tmp_path):
    tally = faults.fuzz_results(60.0, 7, tmp_path, most=150)
    assert tally.wrong == []
    assert tally.tried["result files"] == sum(tally.outcomes.values()) == 150
    assert tally.outcomes["refused with a reason"] > 75


def test_answers__hostile_archives_are_refused_with_a_reason(tmp_path):
    tally = faults.fuzz_answers(60.0, 1, tmp_path, most=60)
    assert tally.wrong == []
    assert sum(tally.tried.values()) == 60


def test_pictures__hostile_ones_are_decoded_or_refused():
    tally = fuzz_pictures(120.0, 3, most=150)
    assert tally.wrong == []
    assert sum(tally.tried.values()) == sum(tally.outcomes.values()) == 150
    assert min(tally.outcomes["decoded"], tally.outcomes["refused with a reason"]) > 15


def test_machines__a_planted_secret_is_seen_in_an_output_and_in_a_file(tmp_path):
    tally = Tally()
    (tmp_path / "log").write_text(f"token {PLANTED}x")
    machines._note_secrets(tally, "kind", Ended(0, "nothing", 0.0), tmp_path)
    assert tally.wrong == ["kind: a secret in log"]
    (tmp_path / "log").unlink()
    machines._note_secrets(tally, "kind", Ended(0, f"{PLANTED}", 0.0), tmp_path)
    assert tally.wrong[1:] == ["kind: a secret in output"]


def test_machines__a_lost_file_stays_lost_and_the_reason_is_that_of_the_disk(tmp_path):
    """In a process of its own, whose functions are replaced."""
    (tmp_path / "a").write_text("x")
    code = (
        "import random, sys\nfrom pathlib import Path\nfrom scripts.checks.faults.machines import FAULTS\n"
        "folder = Path(sys.argv[1])\nFAULTS['EIO of a folder or file'](random.Random(0), folder, folder)\n"
        "reasons = []\nfor _ in range(400):\n"
        "    try:\n        open(folder / 'a').close()\n        reasons.append('')\n"
        "    except OSError as error:\n        reasons.append(error.strerror)\n"
        "print(sorted(set(reasons)), reasons == sorted(reasons))"
    )
    done = run_python("-c", code, tmp_path)
    assert done.stdout.strip() == "['', 'Input/output error'] True"


@pytest.mark.parametrize(("name", "data"), list(forgeries()), ids=[name for name, _ in forgeries()])
def test_forgeries__none_is_shown(tmp_path, name, data):
    (tmp_path / "a.json").write_bytes(data)
    read = read_files(tmp_path, ["a.json"], objection=objection)
    assert read.accepted == ()
    assert len(read.refused[0].reason) > 5


def test_board__hostile_files_among_honest_ones_change_nothing_but_the_refusals(tmp_path, capsys):
    write_board_folder(tmp_path / "all", 3, 60, 0)
    boards = []
    for name, results in (("all", tmp_path / "all"), ("honest", tmp_path / "all" / "honest")):
        assert main(["--results", str(results), "-o", str(tmp_path / name / "site"), "--no-published"]) == 0
        data = json.loads((tmp_path / name / "site" / "data.json").read_text())
        assert len(data.pop("refused")) == (60 if name == "all" else 0)
        for row in data["rows"]:
            for file in row["results"]:
                file["file"] = file["file"].removeprefix("honest/")
        boards.append(data)
    assert boards[0] == boards[1]
    assert "\x1b" not in capsys.readouterr().out


def test_without_checks__replaces_them_where_they_are_used_and_puts_them_back():
    from benchmark.bank import view_file
    from benchmark.bank.fill import batches
    from benchmark.scoring import output
    from builders import photos

    places = [
        (view_file, "reserve_space"), (view_file, "_marker_crc32"), (view_file.ViewFile, "damaged"),
        (output, "sweep_temporaries"), (output, "hashlib"), (batches, "torch"), (photos.PhotoSet, "_make_readable"),
    ]  # fmt: skip
    before = [getattr(*place) for place in places]
    with without_checks() as replaced:
        assert all(getattr(*place) is not one for place, one in zip(places, before, strict=True))
        assert {"fsync", "check_forms", "parse_json", "open_untrusted", "reserve_for"} <= set(replaced)
        assert output.hashlib.sha256(b"x").hexdigest() == "0" * 64
    assert all(getattr(*place) is one for place, one in zip(places, before, strict=True))
