"""The requests of a push, call by call: plans, commits in parts, pull requests, cards, Spaces and erasers."""

import contextlib
import hashlib
from types import SimpleNamespace

import pytest
import yaml

import builders.publish
from benchmark.publishing import PublishRequest, publish, publish_results, repository, table
from benchmark.publishing.files import PublishedFile, result_path
from benchmark.publishing.repository import Published, PushPlan, offer, plan, push
from benchmark.publishing.table import card_text, results_table, table_bytes
from benchmark.results import SCHEMA_VERSION, ReadResults, Refusal, ResultFile, write_result
from builders.errors import DataError, RemoteError

REPO = "camtrace/results"


def blob(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def refused(status):
    from huggingface_hub.errors import HfHubHTTPError

    error = HfHubHTTPError.__new__(HfHubHTTPError)
    Exception.__init__(error, "refused")
    error.response, error.server_message = SimpleNamespace(status_code=status, headers={}), ""
    return error


class Api:
    """A client that records its calls; ``files`` are in the repository, which does not exist where they are None."""

    endpoint = "https://hub"

    def __init__(self, files=None, statuses=(), titles=()):
        self.files, self.statuses, self.titles, self.calls = files, list(statuses), titles, []

    def repo_info(self, repo, **options):
        from huggingface_hub.errors import RepositoryNotFoundError

        self.calls.append(("repo_info", repo, options))
        if self.files is None:
            raise RepositoryNotFoundError.__new__(RepositoryNotFoundError)
        return SimpleNamespace(sha="head")

    def list_repo_tree(self, repo, **options):
        self.calls.append(("list_repo_tree", repo, options))
        files = [SimpleNamespace(path=path, blob_id=blob(data), lfs=None) for path, data in self.files.items()]
        return [*files, SimpleNamespace(path="results")]

    def get_repo_discussions(self, repo, **options):
        self.calls.append(("get_repo_discussions", repo, options))
        return [SimpleNamespace(title=title, url=f"open/{title}") for title in self.titles]

    def create_commit(self, repo, operations, **options):
        files = {each.path_in_repo: each.path_or_fileobj for each in operations}
        self.calls.append(("create_commit", repo, files, options))
        if self.statuses and (status := self.statuses.pop(0)):
            raise refused(status)
        return SimpleNamespace(oid=f"commit {len(self.calls)}", commit_url="commit", pr_url="request")


@pytest.fixture
def files(make):
    made = [make.result("org/a"), make.result("org/b", data="simcams"), make.result("org/a", value=0.6)]
    return [PublishedFile(result_path(each), each.to_json(), each) for each in made]


def names(files):
    return [file.path for file in files]


INFO = ("repo_info", REPO, {"repo_type": "dataset"})
TREE = ("list_repo_tree", REPO, {"repo_type": "dataset", "revision": "head", "recursive": True})


def test_plan__of_a_repository_that_does_not_exist(files):
    api = Api()
    made = plan(files, REPO, "own/space", api)
    assert api.calls == [INFO]
    results = {file.path: file.result for file in files}
    assert (made.head, made.present, made.refused, made.results) == (None, (), (), results)
    assert made.new == {file.path: file.text.encode() for file in files}
    assert made.generated == {
        "results.parquet": table_bytes(results),
        "README.md": card_text(results, REPO, "own/space").encode(),
    }
    not_requested = Api()
    assert plan(files, REPO, api=not_requested, ask=False).generated["README.md"] == card_text(results, REPO).encode()
    assert not_requested.calls == []


def test_plan__of_a_repository_with_files(files, make, monkeypatch):
    older, first = make.result("org/z"), files[0]
    table_now = table_bytes({"results/z.json": older, **{file.path: file.result for file in files}})
    there = {first.path: first.text.encode(), "results/z.json": b"z", "results.parquet": table_now, "note": b"n"}
    reads = []

    def read_results(source):
        reads.append(source)
        refusal = Refusal("results/bad.json", "no result")
        return ReadResults((ResultFile("results/z.json", older),), (refusal,))

    monkeypatch.setattr(repository, "read_results", read_results)
    api = Api(there)
    monkeypatch.setattr(repository, "hub_api", lambda: api)
    made = plan(files, REPO)
    assert (api.calls, reads) == ([INFO, TREE], [f"{REPO}@head"])
    assert (made.head, made.present) == ("head", (first.path,))
    assert list(made.new) == names(files)[1:]
    assert list(made.generated) == ["README.md"]
    assert list(made.results) == ["results/z.json", *names(files)]
    assert made.refused == (Refusal("results/bad.json", "no result"),)
    with pytest.raises(DataError) as error:
        plan(files, REPO, api=Api({first.path: b"other"}))
    assert str(error.value) == f"{REPO}: {first.path} is there with another content; it is not overwritten"
    assert plan(files, REPO, api=Api({"result/z.json": b""})).results.keys() == {file.path for file in files}
    assert len(reads) == 1

    def unread(source):
        raise RemoteError("results of it: offline")

    monkeypatch.setattr(repository, "read_results", unread)
    with pytest.raises(ConnectionError, match=r"^results of it: offline$"):
        plan(files, REPO, api=Api({"results/z.json": b""}))


@pytest.fixture
def pushed(monkeypatch, files):
    """Calls push and returns (what it did, the calls of the client)."""
    created = []
    monkeypatch.setattr(builders.publish, "create_repo", lambda *given: created.append(given))

    def run(api, plans, *, public=False):
        requested = []

        def planned(*given):
            requested.append(given)
            return plans.pop(0) if len(plans) > 1 else plans[0]

        monkeypatch.setattr(repository, "plan", planned)
        monkeypatch.setattr(repository, "hub_api", lambda: api)
        done = push(files, REPO, public=public, space="own/space")
        assert set(map(str, requested)) == {str((files, REPO, "own/space", api))}
        return done, len(requested), list(created)

    return run


def title_of(files):
    digest = hashlib.sha256("\0".join(sorted(names(files))).encode()).hexdigest()[:8]
    return f"3 results of org/a, org/b ({digest})"


def commit(paths, head, title, **more):
    return (
        "create_commit",
        REPO,
        paths,
        {"repo_type": "dataset", "commit_message": title, "parent_commit": head, **more},
    )


def test_push__in_parts_of_which_the_last_has_table_and_card(pushed, files, monkeypatch):
    monkeypatch.setattr(repository, "MOST_FILES", 2)
    new = {path: path.encode() for path in names(files)}
    generated = {"results.parquet": b"t", "README.md": b"c"}
    results = {"a": files[0].result}
    whole = PushPlan("head", new, ("present",), generated, results, ())
    api = Api({})
    done, plans, created = pushed(api, [whole])
    title, paths = title_of(files), sorted(new)
    parts = [{path: new[path] for path in paths[:2]}, {paths[2]: new[paths[2]]}, generated]
    assert [call[2] for call in api.calls] == parts
    assert [call[3]["parent_commit"] for call in api.calls] == ["head", "commit 1", "commit 2"]
    assert {call[3]["commit_message"] for call in api.calls} == {title}
    assert (plans, created) == (1, [])
    assert done == Published("https://hub/datasets/camtrace/results", tuple(paths), ("present",), False, results)
    none = PushPlan("head", {}, ("p",), {}, results, ())
    idle = Api({})
    assert pushed(idle, [none])[0] == Published("https://hub/datasets/camtrace/results", (), ("p",), False, results)
    assert idle.calls == []


@pytest.mark.parametrize("public", [True, False])
def test_push__makes_the_repository_and_plans_again(pushed, files, public):
    new = {files[0].path: b"1"}
    absent, empty = (PushPlan(head, new, (), {}, {}, ()) for head in (None, "first"))
    api = Api({})
    done, plans, created = pushed(api, [absent, empty], public=public)
    assert (plans, created) == (2, [(api, REPO, "dataset", public)])
    assert api.calls == [commit(new, "first", title_of(files))]
    assert (done.added, done.pull_request) == ((files[0].path,), False)


@pytest.mark.parametrize(("new", "proposes"), [(True, True), (False, False)])
def test_push__without_the_right_to_write(pushed, files, new, proposes):
    lacking = {files[0].path: b"1"} if new else {}
    results = {"a": files[0].result}
    whole = PushPlan("head", lacking, ("p",), {"README.md": b"c"}, results, ())
    api = Api({}, statuses=[403])
    done, *_ = pushed(api, [whole])
    url = "request" if proposes else "https://hub/datasets/camtrace/results"
    assert done == Published(url, tuple(lacking), ("p",), proposes, results)
    title = title_of(files)
    attempt = commit({**lacking, "README.md": b"c"}, "head", title)
    discussions = {"repo_type": "dataset", "discussion_type": "pull_request", "discussion_status": "open"}
    proposal = [("get_repo_discussions", REPO, discussions), commit(lacking, "head", title, create_pr=True)]
    assert api.calls == [attempt, *(proposal if proposes else [])]
    with pytest.raises(RemoteError):
        pushed(Api({}, statuses=[400]), [whole])
    assert pushed(Api({}, statuses=[403], titles=[title]), [whole])[0].url == (f"open/{title}" if proposes else url)


def test_offer__calls_and_title(monkeypatch):
    api = Api({"a": b"ab"})
    monkeypatch.setattr(repository, "hub_api", lambda: api)
    assert offer("own/name", "model", {"a": b"ab", "b": b"new"}, "Scores", pull_request=True) == "request"
    digest = hashlib.sha256(hashlib.sha256(b"new").hexdigest().encode()).hexdigest()[:8]
    options = {"repo_type": "model", "commit_message": f"Scores ({digest})", "parent_commit": "head", "create_pr": True}
    assert api.calls == [
        ("repo_info", "own/name", {"repo_type": "model"}),
        ("list_repo_tree", "own/name", {"repo_type": "model", "revision": "head", "recursive": True}),
        (
            "get_repo_discussions",
            "own/name",
            {"repo_type": "model", "discussion_type": "pull_request", "discussion_status": "open"},
        ),
        ("create_commit", "own/name", {"b": b"new"}, options),
    ]


def test_card__facts_and_front_matter(files, make, monkeypatch):
    import builders.dataset

    renders = []
    monkeypatch.setattr(builders.dataset, "render", lambda name, **facts: renders.append((name, facts)) or "TEXT\n")
    bare = make.changed(files[0].result, "environment", codec_canary=None)
    results = {"b": files[1].result, "a": files[0].result, "c": bare}
    card = card_text(results, REPO, "own/space")
    [(name, facts)] = renders
    assert name == "benchmark.md.jinja"
    assert facts == {
        "repo": REPO,
        "space": "own/space",
        "viewer": builders.publish.viewer_address(REPO),
        "results": 3,
        "scores": 9,
        "encoders": 2,
        "data": ["imagenet", "simcams"],
        "canaries": sorted({str(files[0].result.environment["codec_canary"]), "None"}),
        "schema_version": SCHEMA_VERSION,
        "table": "results.parquet",
        "columns": list(table.COLUMNS),
    }
    head, text = card.split("---\n")[1:]
    assert text == "\nTEXT\n"
    front = yaml.safe_load(head)
    info = front.pop("dataset_info")
    assert front == {
        "language": ["en"],
        "license": "cc-by-4.0",
        "pretty_name": "camtrace results",
        "tags": ["camtrace", "benchmark", "computer-vision", "image-forensics"],
        "size_categories": ["n<1K"],
        "source_datasets": ["ILSVRC/imagenet-1k"],
        "configs": [
            {"config_name": "default", "default": True, "data_files": [{"split": "train", "path": "results.parquet"}]}
        ],
    }
    size = results_table(results).nbytes
    assert info["splits"] == [{"name": "train", "num_bytes": size, "num_examples": 9}]
    assert (info["download_size"], info["dataset_size"]) == (len(table_bytes(results)), size)
    assert [column["name"] for column in info["features"]] == list(table.COLUMNS)
    card_text(results, REPO)
    assert renders[1][1]["space"] == ""
    none = yaml.safe_load(card_text({"b": files[1].result}, REPO).split("---\n")[1])
    assert "source_datasets" not in none


@pytest.fixture
def one_result(tmp_path, make):
    write_result(make.result("org/a"), tmp_path / "in" / "result.json")
    return tmp_path / "in"


@pytest.mark.parametrize("pull_request", [False, True])
def test_publish__with_a_space(one_result, make, monkeypatch, capsys, pull_request):
    result, pushes = make.result("org/a"), []
    done = Published("URL", ("a",), (), pull_request, {"results/org--a/imagenet/0.json": result})

    def push_folder(folder, repo, **options):
        owned = options.pop("owned")
        paths = ("encoders/measured-a.js", "encoders/other.js", "measured-a.js", "encoders/measured-a.css")
        pushes.append((folder.name, repo, options, [owned(path) for path in paths]))
        stages = options["stages"]
        assert all((folder / name).is_file() for stage in stages for name in stage)
        return SimpleNamespace(url="SPACE", uploaded=stages[0], unchanged=2)

    monkeypatch.setattr(repository, "push", lambda *given, **options: done)
    monkeypatch.setattr(builders.publish, "push_folder", push_folder)
    publish_results(PublishRequest(one_result, REPO, space="own/space", push=True, public=True))
    out = capsys.readouterr().out.splitlines()
    if pull_request:
        assert (pushes, out[1]) == ([], "own/space: not rebuilt, since the results wait in a pull request")
        return
    [(folder, repo, options, owned)] = pushes
    stages = options.pop("stages")
    assert (folder, repo, owned) == ("site", "own/space", [True, False, False, False])
    assert options == {"public": True, "repo_type": "space", "message": f"Leaderboard of {REPO}"}
    assert stages[1] == ["index.html", "README.md"]
    assert set(stages[0]) >= {"data.json", "data.js", "board.csv", "style.css"}
    assert not set(stages[0]) & set(stages[1])
    assert out[1] == f"SPACE: {len(stages[0])} uploaded, 2 unchanged"


def test_publish__a_dry_run_with_a_space(one_result, monkeypatch, capsys):
    def sites(results, scratch):
        (scratch / "site").mkdir()
        for name in "abc":
            (scratch / "site" / name).write_bytes(b"x" * 1_000_000)
        return [["a", "b"], ["c"]]

    monkeypatch.setattr(publish, "_write_site", sites)
    monkeypatch.setattr(repository, "plan", lambda *given, **options: PushPlan("head", {}, (), {}, {}, ()))
    publish_results(PublishRequest(one_result, REPO, space="own/space"))
    out = capsys.readouterr().out.splitlines()
    assert out[1] == "own/space (static Space): 3 files, 3.00 MB, what differs of them"


def test_publish_eraser__its_files_to_a_private_model_repository(tmp_path, monkeypatch, capsys):
    from benchmark.erasing import ERASER_FILES

    pushes = []

    def push_folder(folder, repo, **options):
        owned = options.pop("owned")
        pushes.append((folder, repo, options, [owned("a"), owned(ERASER_FILES[0])]))
        return SimpleNamespace(url="URL", uploaded=["a", "b"], unchanged=1)

    monkeypatch.setattr(builders.publish, "push_folder", push_folder)
    for name in (*ERASER_FILES[1:], "other.txt"):
        (tmp_path / name).write_text("")
    publish.publish_eraser(tmp_path, "own/eraser")
    options = {"public": False, "repo_type": "model", "message": "Eraser, measured on photos that it has not seen"}
    assert pushes == [(tmp_path, "own/eraser", {"stages": [list(ERASER_FILES[1:])], **options}, [False, False])]
    assert capsys.readouterr().err == "URL: 2 uploaded, 1 unchanged\n"


def test_push_folder_of_results__as_after_scoring(tmp_path, monkeypatch):
    requests = []
    monkeypatch.setattr(publish, "publish_results", requests.append)
    publish.push_folder_of_results(tmp_path, REPO, public=True)
    publish.push_folder_of_results(tmp_path, REPO)
    assert requests == [PublishRequest(tmp_path, REPO, public=public, push=True) for public in (True, False)]
    defaults = PublishRequest(tmp_path, REPO)
    fields = (defaults.space, defaults.model_card, defaults.eval_yaml, defaults.public, defaults.unknown_codec)
    assert (*fields, defaults.smoke_tests, defaults.push) == (None, *[False] * 6)


@contextlib.contextmanager
def recorded_from_hub(calls):
    calls.append("from_hub")
    yield


def test_publish__a_dry_run_reads_the_hub_within_its_limits(one_result, monkeypatch):
    calls = []
    monkeypatch.setattr(publish, "from_hub", lambda: recorded_from_hub(calls))
    monkeypatch.setattr(repository, "plan", lambda *given: calls.append("plan") or PushPlan("h", {}, (), {}, {}, ()))
    publish_results(PublishRequest(one_result, REPO))
    assert calls == ["from_hub", "plan"]


@pytest.mark.parametrize("push", [False, True])
def test_publish__results_without_pages_and_tasks(one_result, monkeypatch, capsys, push):
    done = Published("URL", (), (), False, {})
    monkeypatch.setattr(repository, "push", lambda *given, **options: done)
    monkeypatch.setattr(repository, "plan", lambda *given, **options: PushPlan("head", {}, (), {}, {}, ()))
    publish_results(PublishRequest(one_result, REPO, model_card=True, eval_yaml=True, push=push))
    out = capsys.readouterr().out.splitlines()
    assert out[1:3] == [
        "no model page for org/a: imagenet is not a data set of the Hub",
        "no eval.yaml: none of the results is on a data set of the Hub",
    ]
