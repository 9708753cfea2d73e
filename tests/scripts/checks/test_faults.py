"""A little of ``scripts/checks/faults``: fuzzers of results and answers, and hostile files beside a board."""

import http.client
import io
import json
import os
import random
import time
from types import SimpleNamespace
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.__main__ import COMMANDS
from benchmark.cli.leaderboard import main
from benchmark.leaderboard.admission import objection
from benchmark.results import read_files
from builders.cluster import Finished, Markers, Plan, RankPlan, StorageFolder, read_plan, write_plan
from scripts.checks.faults import __main__ as faults
from scripts.checks.faults import machines, records, rows
from scripts.checks.faults.campaign import Case, _common
from scripts.checks.faults.interrupt import Tally
from scripts.checks.faults.kinds import remote
from scripts.checks.faults.kinds.answers import parquet_of
from scripts.checks.faults.kinds.files import kinds_of_files
from scripts.checks.faults.kinds.photos import kinds_of_encoders, kinds_of_photos
from scripts.checks.faults.kinds.proxy import MANNERS, OF_RANGES, Bucket, ChangingProxy
from scripts.checks.faults.kinds.ranks import kinds_of_ranks
from scripts.checks.faults.kinds.remote import lying_footer
from scripts.checks.faults.kinds.sources import kinds_of_sources
from scripts.checks.faults.kinds.spoilers import SPOILERS
from scripts.checks.faults.kinds.stores import kinds_of_stores
from scripts.checks.faults.kinds.words import kinds_of_words
from scripts.checks.faults.machines import PLANTED
from scripts.checks.faults.mutations import forgeries, write_board_folder
from scripts.checks.faults.pictures import fuzz_pictures
from scripts.checks.faults.processes import HANG, Ended, Run, run_in_turn
from scripts.checks.faults.world import World
from scripts.speed.input_checks import without_checks
from tests.support.processes import run_python


@pytest.mark.slow
def test_results__mutations_are_refused_with_a_reason_or_harmless(tmp_path):
    tally = faults.fuzz_results(60.0, 7, tmp_path, most=150)
    assert tally.wrong == []
    assert tally.tried["result files"] == sum(tally.outcomes.values()) == 150
    assert tally.outcomes["refused with a reason"] > 75


@pytest.mark.slow
def test_answers__hostile_archives_are_refused_with_a_reason(tmp_path):
    tally = faults.fuzz_answers(60.0, 1, tmp_path, most=60)
    assert tally.wrong == []
    assert sum(tally.tried.values()) == 60


@pytest.mark.slow
def test_pictures__hostile_ones_are_decoded_or_refused():
    tally = fuzz_pictures(120.0, 3, most=150)
    assert tally.wrong == []
    assert sum(tally.tried.values()) == sum(tally.outcomes.values()) == 150
    assert min(tally.outcomes["decoded"], tally.outcomes["refused with a reason"]) > 15


def test_machines__files_more_in_a_bank_count_and_other_banks_do_not():
    expected = {"cache/banks/a/views/x/rows.npy": "1", "out/result.json": "2"}
    names = ("cache/banks/a/views/y/rows.npy", "cache/banks/b/key.json", "out/extra", "cache/banks/a/key.json")
    others = {name: machines._of_other_bank(name, expected) for name in names}
    assert list(others.values()) == [False, True, False, False]


def test_machines__a_planted_secret_is_seen_in_an_output_and_in_a_file(tmp_path):
    tally = Tally()
    (tmp_path / "log").write_text(f"token {PLANTED}x")
    machines._note_secrets(tally, "kind", Ended(0, "nothing", 0.0), tmp_path)
    assert tally.wrong == ["kind: a secret in log"]
    (tmp_path / "log").unlink()
    machines._note_secrets(tally, "kind", Ended(0, f"{PLANTED}", 0.0), tmp_path)
    assert tally.wrong[1:] == ["kind: a secret in output"]


@pytest.mark.parametrize(
    ("output", "is_wrong"),
    [
        ("camtrace: no photo", False),
        ("| a | Permission denied |\n0 scored, 0 kept, 2 failed. Written", False),
        ("1 scored, 0 kept, 0 failed. Written", True),
        ("", True),
    ],
)
def test_machines__a_failed_run_says_why_in_a_sentence_or_in_the_table_of_its_encoders(tmp_path, output, is_wrong):
    trials = SimpleNamespace(tally=Tally())
    machines._judge(trials, "sweep, EACCES", None, tmp_path, Ended(1, output, 1.0))
    assert bool(trials.tally.wrong) == is_wrong


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


def test_watch__sees_what_is_written_elsewhere_who_is_called_and_secrets_of_arguments(tmp_path):
    """In a process of its own: a hook cannot be removed."""
    code = (
        "import os, socket, subprocess, sys\nfrom pathlib import Path\nfrom scripts.checks.faults import campaign\n"
        "top = Path(sys.argv[1])\n(top / 'in').mkdir()\n(top / 'link').symlink_to(top)\n"
        "campaign.watch(top / 'reports', [top / 'in'])\n"
        "(top / 'in' / 'a').write_text('x')\nopen(top / 'in' / 'a').close()\n"
        "(top / 'b').write_text('x')\n(top / 'in' / '..' / 'c').write_text('x')\n"
        "os.rename(top / 'in' / 'a', top / 'd')\nos.symlink('x', top / 'link' / 'e')\n"
        "inside, outside = (os.open(folder, os.O_RDONLY) for folder in (top / 'in', top))\n"
        "os.mkdir('g', dir_fd=inside)\nos.rmdir('g', dir_fd=inside)\nos.remove('d', dir_fd=outside)\n"
        "socket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.1', 9))\n"
        f"subprocess.run(['true', {PLANTED!r}])\ncampaign._watched.clear()\n(top / 'f').write_text('x')\n"
    )
    done = run_python("-c", code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "reports").read_text().splitlines() == [
        f"writes {tmp_path}/b",
        f"writes {tmp_path}/c",
        f"os.rename of {tmp_path}/d",
        f"os.symlink of {tmp_path}/e",
        f"os.remove of {tmp_path}/d",
        "connects to 192.0.2.1",
        "a secret in the arguments of a process",
    ]


@pytest.mark.slow
def test_run_in_turn__a_command_that_ends_its_process_or_hangs_costs_the_others_nothing(tmp_path):
    def one(name, words, prepare=lambda: None):
        return Run(words, tmp_path / name, tmp_path / f"{name}.log", prepare)

    runs = [
        one("a", ["list", "parameters"]),
        one("b", ["list", "parameters"], lambda: os._exit(5)),
        one("c", ["list", "nothing"]),
        one("d", ["list", "parameters"], lambda: time.sleep(60)),
        one("e", ["list", "parameters"]),
    ]
    ends = run_in_turn(runs, limit_s=5.0)
    assert [end.status for end in ends] == [0, 5, 2, HANG, 0]
    assert ends[0].output == ends[4].output
    assert "nothing" in ends[2].output


def test_common__names_each_thing_that_is_wrong_with_an_end(tmp_path):
    run = tmp_path / "case" / "run"
    run.mkdir(parents=True)
    case = Case([])
    assert _common(case, Ended(2, "camtrace: no", 1.0), run) == []
    (run / "log").write_text(f"key {PLANTED}7")
    (tmp_path / "case" / "other").mkdir()
    problems = _common(case, Ended(7, "\x1b[31m", 1.0, stayed=True), run)
    assert [sentence.partition(":")[0] for sentence in problems] == [
        "status 7",
        "a process stays",
        "a control character in the output",
        "a secret in log",
        "written beside its folder",
    ]
    assert _common(case, Ended(1, " ", 1.0), run)[0] == "status 1 without a word"


def test_world__a_plan_that_is_copied_writes_to_its_copy_and_its_ranks_stay_done(tmp_path):
    folder, run_folder = tmp_path / "world", tmp_path / "run"
    plan = Plan("score", ("score",), str(folder / "ranked/out"), (RankPlan(("a",), 1), RankPlan(("b",), 1)), {})
    place = StorageFolder.of(folder / "ranked/out.plan")
    write_plan(plan, place)
    finished = Finished({"banks/a": "0"}, 1, 0, 2.0, "here")
    Markers(place, plan.name).finish(0, finished)
    run_folder.mkdir()
    World(folder, None, None).copy("ranked", run_folder)
    copied, there = read_plan(str(run_folder / "ranked/out.plan"))
    assert copied.output == str(run_folder / "ranked/out")
    assert Markers(there, copied.name).all().done == {0: finished}


def test_kinds__there_are_sixty_over_all_commands_and_each_has_a_name_of_its_own():
    kinds = [*kinds_of_files(), *kinds_of_photos(), *kinds_of_encoders()]
    kinds += [*kinds_of_sources(), *kinds_of_stores(), *kinds_of_ranks(), *kinds_of_words()]
    names = [kind.name for kind in kinds]
    assert len(set(names)) == len(names) >= 60
    read = {kind.command.partition(" ")[0] for kind in kinds}
    assert read >= {*COMMANDS, "flickrexif"}


@pytest.mark.parametrize("manner", [*MANNERS, *OF_RANGES])
def test_proxy__changes_answers_in_every_manner_and_counts_them(manner):
    bucket, proxy = Bucket(), ChangingProxy()
    bucket.files = {"a.tar": bytes(range(256)) * 40}

    def answer(url):
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
        try:
            connection.request("GET", "/b/a.tar", headers={"Range": "bytes=512-1023"})
            got = connection.getresponse()
            return got.status, got.headers.get("Content-Range"), got.headers.get("ETag"), got.read()
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__
        finally:
            connection.close()

    honest = answer(bucket.url)
    assert honest[::3] == (206, bytes(range(256)) * 2)
    assert honest[1] == "bytes 512-1023/10240"
    proxy.begin(bucket.url, (manner,), 0.0, 0)
    assert (answer(proxy.url), proxy.changed) == (honest, 0)
    made = []
    for seed in range(8):
        proxy.begin(bucket.url, (manner,), 1.0, seed)
        made.append(answer(proxy.url))
        assert proxy.changed == 1
    assert any(one != honest for one in made)


def test_lying_footer__keeps_the_pages_and_says_other_things_of_them():
    rows = [{"image": {"bytes": bytes([i]) * 50, "path": f"{i}"}, "label": "ab"[i % 2]} for i in range(12)]
    data = parquet_of(rows, row_group_size=4)
    length = int.from_bytes(data[-8:-4], "little")
    made = {lying_footer(data, rows, random.Random(seed)) for seed in range(30)} - {data}
    assert len(made) > 20
    assert all(lie.startswith(data[: -8 - length]) for lie in made)
    assert not all(map(_says_twelve_rows, made))


def _says_twelve_rows(data):
    try:
        return pq.read_metadata(io.BytesIO(data)).num_rows == 12
    except (pa.ArrowException, OSError):
        return False


def test_compared__other_numbers_are_wrong_where_no_failure_is_named(tmp_path):
    score = dict.fromkeys(("task", "data", "metric", "value", "low", "high", "n", "chance"), 0.5)

    def made(value, failures=()):
        (tmp_path / "out").mkdir(exist_ok=True)
        result = {"scores": [{**score, "value": value}], "failures": list(failures)}
        (tmp_path / "out" / "result.json").write_text(json.dumps(result))

    made(0.5)
    honest = remote._made(tmp_path)
    silent = remote._compared(tmp_path, lambda: honest, ["shorter"])
    end = Ended(0, "2 scored, 0 kept, 0 failed", 1.0)
    assert silent(end) == ""
    made(0.6)
    assert "other numbers" in silent(end)
    assert silent(Ended(1, "camtrace: no", 1.0)) == ""
    assert silent(Ended(0, "camtrace: warning: 3 photos failed", 1.0)) == ""
    assert remote._compared(tmp_path, lambda: honest, ["bits"])(end) == ""
    made(0.6, ["x"])
    assert silent(end) == ""


@pytest.mark.parametrize("spoiler", SPOILERS)
@pytest.mark.parametrize("name", ["a.json", "a.toml"])
def test_spoilers__draw_other_files_from_other_seeds(tmp_path, spoiler, name):
    made = set()
    for seed in range(12):
        file = tmp_path / name
        file.write_text('{"a": [1, 2], "b": {"c": "d"}}' if name == "a.json" else 'x = 1\ny = ["a", "b"]\n')
        SPOILERS[spoiler](file, random.Random(seed))
        if file.is_file() and file.stat().st_size < 1 << 20:
            made.add(file.read_bytes())
        else:
            made.add(str(os.readlink(file) if file.is_symlink() else file.exists()))
        for path in tmp_path.iterdir():
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    assert len(made) >= 5


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


def test_records__counts_of_many_runs_become_one_table(tmp_path):
    first, second = Tally(), Tally()
    first.tried.update({"verify: a": 10, "score: b": 2})
    first.cases.update({"verify: a": 3, "score: b": 2})
    first.processor_s["verify: a"] = 1.4
    second.tried.update({"verify: a": 5})
    second.cases.update({"verify: a": 5})
    second.processor_s["verify: a"] = 2.0
    second.wrong = ["verify: a (seed 2, number 7): hang", "score: b (seed 2, number 8): a secret in output"]
    second.outcomes.update({"verify: status 1": 2, "verify: status 0": 3, "score: status -99": 1, "sound machine": 6})
    for seed, tally in ((1, first), (2, second)):
        records.append(tmp_path / "record", "campaign", seed, tally)
    lines = list(records.table(tmp_path / "record"))
    assert lines[2:5] == [
        "| campaign | score: b | 2 | 2 | 0 | 0 | 1 |",
        "| campaign | verify: a | 8 | 15 | 1 | 3 | 1, 2 |",
        "| campaign | **2 kinds** | 10 | 17 | 1 | 3 | 1, 2 |",
    ]
    assert lines[5:7] == ["\nWrong: 2", "- verify: a (seed 2, number 7): hang"]
    assert {"| score | 1 | 1 | 1 |", "| verify | 5 | 2 | 0 |"} <= set(lines)
    assert lines[-1] == f"- {records.NOT_TRIED[-1]}"


def test_rows__each_names_a_fault_and_one_that_raises_is_wrong(tmp_path, monkeypatch):
    assert len(rows.ROWS) >= 20
    monkeypatch.setattr(rows, "ROWS", {"a": lambda place: "", "b": lambda place: "worse", "ab": lambda place: 1 / 0})
    tally = rows.every_row(tmp_path)
    assert tally.tried.total() == 3
    assert tally.wrong == ["b: worse", "ab: ZeroDivisionError: division by zero"]
    assert rows.every_row(tmp_path / "again", "b").tried.total() == 2


@pytest.mark.slow
def test_run_in_turn__sees_command_lines_of_the_processes_of_a_command(tmp_path):
    seen = set()
    start = "import subprocess; subprocess.run(['sleep', '1'], check=True)"
    run = Run(["list", "parameters"], tmp_path / "a", tmp_path / "a.log", lambda: exec(start))
    run_in_turn([run], 30.0, seen.add)
    assert b"sleep\0001\0" in seen
