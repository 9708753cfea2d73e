import csv
import json
import os
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

from benchmark.__main__ import camtrace
from benchmark.results import write_result
from builders.errors import RemoteError
from tests.support.processes import run_python
from tests.support.records import check_keys

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_main__lists_what_was_refused(results_folder, tmp_path, capsys):
    assert camtrace(["leaderboard", "--results", str(results_folder), "--output", str(tmp_path / "site")]) == 0
    out = capsys.readouterr().out
    assert "results/broken.json" in out
    board = json.loads((tmp_path / "site" / "data.json").read_text())
    assert [r["file"] for r in board["refused"]] == ["results/broken.json"]


@pytest.mark.slow
def test_main__same_input_same_bytes(results_folder, tmp_path):
    sites = [tmp_path / "one", tmp_path / "two"]
    for site in (*sites, sites[1]):
        assert camtrace(["leaderboard", "--results", str(results_folder), "--output", str(site)]) == 0
    files = [sorted(p.relative_to(site) for p in site.rglob("*") if p.is_file()) for site in sites]
    assert files[0] == files[1]
    assert all((sites[0] / f).read_bytes() == (sites[1] / f).read_bytes() for f in files[0])


@pytest.mark.slow
def test_main__an_encoder_that_left_leaves_no_file(make, tmp_path):
    for name in ("a", "b"):
        write_result(make.result(name, make.probes(0.5)), tmp_path / "results" / f"{name}.json")
    arguments = ["--results", str(tmp_path / "results"), "--output", str(tmp_path / "site")]
    camtrace(["leaderboard", *arguments])
    assert len(list((tmp_path / "site" / "encoders").iterdir())) == 2
    (tmp_path / "results" / "b.json").unlink()
    camtrace(["leaderboard", *arguments])
    assert len(list((tmp_path / "site" / "encoders").iterdir())) == 1


def test_main__the_same_result_twice_counts_once(make, tmp_path, capsys):
    for name in ("a", "copy"):
        write_result(make.result("a", make.probes(0.5)), tmp_path / "results" / f"{name}.json")
    camtrace(
        ["leaderboard", "--results", str(tmp_path / "results"), "--output", str(tmp_path / "site"), "--no-published"]
    )
    out = capsys.readouterr().out
    assert "copy.json" in out
    assert "1 measured" in out


@pytest.mark.slow
def test_main__does_not_write_over_a_stranger(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert camtrace(["leaderboard", "--output", str(tmp_path)]) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_site__csv_has_every_score_and_runs_no_formula(make, tmp_path):
    write_result(make.result("=cmd()", make.probes(0.5, 0.6)), tmp_path / "r.json")
    camtrace(["leaderboard", "--results", str(tmp_path), "--output", str(tmp_path / "site"), "--no-published"])
    with (tmp_path / "site" / "board.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["task"], float(line["value"])) for line in lines] == [("probe/jpeg", 0.5), ("probe/sharpening", 0.6)]
    assert lines[0]["encoder"] == "'=cmd()"


def test_site__names_in_its_data(site):
    board = json.loads((site / "data.json").read_text(encoding="utf-8"))
    check_keys("data.json of a board", board, any_key=("group_means", "group_means.*"))


@pytest.fixture
def hub(make):
    """The four answers of a Hub that reading a data set repo needs."""
    good = make.result("timm/hub", make.probes(0.5, 0.6, 0.7, 0.4)).to_json().encode()
    files = {"results/a/toy/1.json": good, "results/b.json": b"{}", "README.md": b"x", "results/huge.json": b""}
    sizes = {name: 100 * 2**20 if "huge" in name else len(body) for name, body in files.items()}
    commit = "a" * 40
    requests = []

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.do_GET()

        def do_GET(self):
            path = unquote(urlparse(self.path).path)
            requests.append(path)
            if path.startswith("/api/datasets/camtrace/results/tree/"):
                tree = [{"type": "file", "oid": "0" * 40, "size": sizes[name], "path": name} for name in files]
                return self.answer(json.dumps(tree).encode(), "application/json")
            if path.startswith("/api/datasets/camtrace/results"):
                info = {
                    "id": "camtrace/results",
                    "sha": commit,
                    "private": False,
                    "siblings": [{"rfilename": n} for n in files],
                }
                return self.answer(json.dumps(info).encode(), "application/json")
            name = path.partition(f"/resolve/{commit}/")[2]
            if name in files:
                return self.answer(files[name], "application/json", ETag=f'"{hash(name)}"', **{"X-Repo-Commit": commit})
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def answer(self, body, kind, **headers):
            self.send_response(200)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", requests
    server.shutdown()
    server.server_close()


def run_against(address, tmp_path, repo):
    environment = {
        **os.environ,
        "HF_ENDPOINT": address,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "0",
    }
    words = ["leaderboard", "--results", repo, "--output", str(tmp_path / "site"), "--no-published"]
    return run_python("-m", "benchmark", *words, cwd=ROOT, env=environment)


@pytest.mark.slow
def test_main__reads_a_hub_repo(hub, tmp_path):
    address, requests = hub
    done = run_against(address, tmp_path, "camtrace/results")
    assert done.returncode == 0, done.stderr
    data = json.loads((tmp_path / "site" / "data.json").read_text())
    assert [row["id"] for row in data["rows"]] == ["timm/hub"]
    assert sorted(refused["file"] for refused in data["refused"]) == ["results/b.json", "results/huge.json"]
    assert not any(path.endswith(("huge.json", "README.md")) for path in requests)


@pytest.mark.slow
def test_main__a_missing_repo_is_one_sentence(hub, tmp_path):
    done = run_against(hub[0], tmp_path, "camtrace/nothing")
    assert done.returncode == RemoteError.exit_status
    assert "camtrace/nothing" in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_bundle__is_what_the_sources_make(tmp_path):
    web = ROOT / "benchmark" / "leaderboard" / "web"
    if shutil.which("node") is None or not (web / "node_modules" / "esbuild").is_dir():
        pytest.skip("node and `npm ci` in benchmark/leaderboard/web are needed to build the page again")
    script = ROOT / "scripts" / "build_web.sh"
    subprocess.run(["bash", str(script), "--check"], check=True, capture_output=True, timeout=600)
