"""Commits to a repository on the Hub by hand: parts of a large push, equal files, what may not be written."""

import hashlib
from types import SimpleNamespace

import pytest

from benchmark.publishing import repository
from benchmark.publishing.repository import MOST_FILES, PushPlan, offer, propose
from builders.errors import RemoteError


def plan(count, generated=2):
    new = {f"results/{n:03d}.json": b"%d" % n for n in range(count)}
    return PushPlan("head", new, (), {f"table-{n}": b"" for n in range(generated)}, {}, ())


def test_push_plan__parts_of_at_most_a_hundred_files_with_the_table_last():
    small = plan(MOST_FILES - 2)
    assert small.next_commit == small.writes
    large = plan(MOST_FILES + 1)
    first = large.next_commit
    assert list(first) == [f"results/{n:03d}.json" for n in range(MOST_FILES)]
    rest = large.after(first, "next")
    assert (rest.head, sorted(rest.writes)) == ("next", ["results/100.json", "table-0", "table-1"])
    assert rest.next_commit == rest.writes
    assert rest.after(rest.next_commit, "last").writes == {}


@pytest.mark.parametrize(("data", "same"), [(b"ab", True), (b"abc", False)])
def test_same__by_the_hash_of_git_or_of_lfs(data, same):
    blob = hashlib.sha1(b"blob 2\0ab").hexdigest()
    assert repository._same(data, SimpleNamespace(lfs=None, blob_id=blob)) is same
    stored = SimpleNamespace(sha256=hashlib.sha256(b"ab").hexdigest())
    assert repository._same(data, SimpleNamespace(lfs=stored, blob_id="x")) is same


class Api:
    """A repository with one file; commits fail with a status, if one is given."""

    endpoint = "https://hub"

    def __init__(self, status=None, titles=()):
        self.status, self.titles, self.commits = status, titles, []

    def repo_info(self, repo, *, repo_type):
        return SimpleNamespace(sha="head")

    def list_repo_tree(self, repo, *, repo_type, revision, recursive):
        blob = hashlib.sha1(b"blob 2\0ab").hexdigest()
        return [SimpleNamespace(path="a", blob_id=blob, lfs=None), SimpleNamespace(path="folder")]

    def get_repo_discussions(self, repo, *, repo_type, discussion_type, discussion_status):
        assert (discussion_type, discussion_status) == ("pull_request", "open")
        return [SimpleNamespace(title=title, url=f"open/{title}") for title in self.titles]

    def create_commit(self, repo, operations, *, repo_type, commit_message, parent_commit, create_pr=False):
        from huggingface_hub.errors import HfHubHTTPError

        if self.status and not create_pr:
            response = SimpleNamespace(status_code=self.status, headers={}, request=None, text="", content=b"")
            error = HfHubHTTPError.__new__(HfHubHTTPError)
            Exception.__init__(error, "refused")
            error.response, error.server_message = response, ""
            raise error
        self.commits.append((sorted(o.path_in_repo for o in operations), commit_message, parent_commit, create_pr))
        return SimpleNamespace(commit_url="commit", pr_url="request")


def offered(monkeypatch, api, files, pull_request=False):
    monkeypatch.setattr(repository, "hub_api", lambda: api)
    return offer("owner/name", "model", files, "Scores", pull_request=pull_request)


def test_offer__writes_only_what_differs(monkeypatch):
    assert offered(monkeypatch, Api(), {"a": b"ab"}) is None
    api = Api()
    assert offered(monkeypatch, api, {"a": b"ab", "b": b"new"}) == "commit"
    ((paths, title, head, requested),) = api.commits
    assert (paths, head, requested) == (["b"], "head", False)
    assert title.startswith("Scores (")


def test_offer__a_pull_request_where_it_is_wanted_or_nothing_else_is_allowed(monkeypatch):
    assert offered(monkeypatch, Api(), {"b": b"new"}, pull_request=True) == "request"
    assert offered(monkeypatch, Api(status=403), {"b": b"new"}) == "request"
    with pytest.raises(RemoteError, match="the Hub said no"):
        offered(monkeypatch, Api(status=400), {"b": b"new"})


def test_propose__names_the_request_that_is_open():
    api = Api(titles=("other", "mine"))
    assert propose(api, "owner/name", "model", {"a": b""}, "mine", "head") == "open/mine"
    assert api.commits == []
    assert propose(api, "owner/name", "model", {"a": b""}, "third", "head") == "request"
