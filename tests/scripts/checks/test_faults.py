"""A little of ``scripts/checks/faults``: fuzzers of results and answers, and hostile files beside a board."""

import http.client
import json
from urllib.parse import urlsplit

import pytest

from benchmark.__main__ import COMMANDS
from benchmark.cli.leaderboard import main
from benchmark.leaderboard.admission import objection
from benchmark.results import read_files
from scripts.checks.faults import __main__ as faults
from scripts.checks.faults import rows
from scripts.checks.faults.kinds.files import kinds_of_files
from scripts.checks.faults.kinds.photos import kinds_of_encoders, kinds_of_photos
from scripts.checks.faults.kinds.proxy import MANNERS, OF_RANGES, Bucket, ChangingProxy
from scripts.checks.faults.kinds.ranks import kinds_of_ranks
from scripts.checks.faults.kinds.sources import kinds_of_sources
from scripts.checks.faults.kinds.stores import kinds_of_stores
from scripts.checks.faults.kinds.words import kinds_of_words
from scripts.checks.faults.machines import PLANTED
from scripts.checks.faults.mutations import forgeries, write_board_folder
from scripts.checks.faults.pictures import fuzz_pictures
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


def test_rows__each_names_a_fault_and_one_that_raises_is_wrong(tmp_path, monkeypatch):
    assert len(rows.ROWS) >= 20
    monkeypatch.setattr(rows, "ROWS", {"a": lambda place: "", "b": lambda place: "worse", "ab": lambda place: 1 / 0})
    tally = rows.every_row(tmp_path)
    assert tally.tried.total() == 3
    assert tally.wrong == ["b: worse", "ab: ZeroDivisionError: division by zero"]
    assert rows.every_row(tmp_path / "again", "b").tried.total() == 2
