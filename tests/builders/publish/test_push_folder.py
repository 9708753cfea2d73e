"""What an upload sends and in which order, by a double of the Hub's API."""

import hashlib
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub.errors import HFValidationError

from builders.errors import UsageError
from builders.publish import cli, push_folder
from builders.publish.push import PushReport


class Api:
    """The calls of ``HfApi`` in order, and a repository with these (path, size, SHA-256 of LFS, id of the blob)."""

    def __init__(self, *files, private=True, name_error=None):
        self.calls = []
        self._private, self._name_error = private, name_error
        self._tree = [SimpleNamespace(path="a folder", tree_id="1")]
        for path, size, sha256, blob in files:
            lfs = None if sha256 is None else SimpleNamespace(sha256=sha256)
            self._tree.append(SimpleNamespace(path=path, size=size, lfs=lfs, blob_id=blob))

    def __call__(self, **options):
        assert options == {"library_name": "camtrace"}
        return self

    def create_repo(self, repo, **options):
        self.calls.append(("create", repo, options))
        if self._name_error:
            raise HFValidationError(self._name_error)
        return "https://hub.example/a/b"

    def repo_info(self, repo, **options):
        self.calls.append(("info", repo, options))
        return SimpleNamespace(private=self._private)

    def list_repo_tree(self, repo, **options):
        self.calls.append(("tree", repo, options))
        return self._tree

    def create_commit(self, repo, operations, **options):
        self.calls.append(("commit", repo, [(type(o).__name__, o.path_in_repo) for o in operations], options))
        self.sent = {o.path_in_repo: o.path_or_fileobj for o in operations if hasattr(o, "path_or_fileobj")}

    def upload_folder(self, **options):
        self.calls.append(("upload", options))

    def delete_files(self, repo, paths, **options):
        self.calls.append(("delete", repo, paths, options))


def sha(data):
    return hashlib.sha256(data).hexdigest()


def blob(data):
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()


@pytest.fixture
def folder(tmp_path):
    for name in ("a*b.bin", "same.bin", "new.bin", "README.md"):
        (tmp_path / name).write_text(name)
    return tmp_path


def pushed(monkeypatch, api, folder, **options):
    monkeypatch.setattr(huggingface_hub, "HfApi", api)
    return push_folder(folder, "a/b", **{"stages": (("a*b.bin", "same.bin", "new.bin"), ("README.md",)), **options})


def test_push_folder__data_then_texts_and_stale_files_last(folder, monkeypatch):
    api = Api(
        ("same.bin", 8, sha(b"same.bin"), "x"),
        ("new.bin", 7, sha(b"another"), "x"),
        ("old[1].bin", 1, None, "x"),
        ("other.txt", 1, None, "x"),
    )
    report = pushed(monkeypatch, api, folder, owned=lambda path: path.endswith(".bin"), message="of a build")
    kind = {"repo_type": "dataset"}
    assert api.calls == [
        ("create", "a/b", {**kind, "private": True, "exist_ok": True}),
        ("info", "a/b", kind),
        ("tree", "a/b", {**kind, "recursive": True}),
        ("upload", {"repo_id": "a/b", **kind, "folder_path": folder, "commit_message": "of a build",
                    "allow_patterns": ["a[*]b.bin", "new.bin"], "delete_patterns": None}),
        ("upload", {"repo_id": "a/b", **kind, "folder_path": folder, "commit_message": "of a build",
                    "allow_patterns": ["README.md"], "delete_patterns": ["old[[]1].bin"]}),
    ]  # fmt: skip
    assert report == PushReport("https://hub.example/a/b", ("README.md", "a*b.bin", "new.bin"), ("old[1].bin",), 1)


def test_push_folder__contents_are_sent_instead_of_files(folder, monkeypatch):
    api = Api(("old.bin", 1, None, "x"), ("new.bin", 7, None, blob(b"new.bin")), private=False)
    report = pushed(
        monkeypatch, api, folder, stages=(("README.md", "new.bin", "same.bin"),), contents={"README.md": b"the card"},
        owned=lambda path: path == "old.bin", public=True, repo_type="space",
    )  # fmt: skip
    kind = {"repo_type": "space"}
    assert api.calls == [
        ("create", "a/b", {**kind, "private": False, "exist_ok": True, "space_sdk": "static"}),
        ("info", "a/b", kind),
        ("tree", "a/b", {**kind, "recursive": True}),
        ("commit", "a/b", [("CommitOperationAdd", "README.md"), ("CommitOperationAdd", "same.bin"),
                           ("CommitOperationDelete", "old.bin")], {**kind, "commit_message": "Upload with camtrace"}),
    ]  # fmt: skip
    assert api.sent == {"README.md": b"the card", "same.bin": str(folder / "same.bin")}
    assert report == PushReport("https://hub.example/a/b", ("README.md", "same.bin"), ("old.bin",), 1)


def test_push_folder__what_is_there_is_not_sent_and_nothing_is_deleted_unless_it_is_owned(folder, monkeypatch):
    card = b"the card"
    api = Api(
        ("README.md", 8, None, blob(card)), ("a*b.bin", 7, "stated", "x"), ("same.bin", 8, None, blob(b"same.bin")),
        ("new.bin", 7, sha(b"new.bin"), "x"), ("old.bin", 1, None, "x"),
    )  # fmt: skip
    report = pushed(monkeypatch, api, folder, contents={"README.md": card}, sha256={"a*b.bin": "stated"})
    assert [call[0] for call in api.calls] == ["create", "info", "tree"]
    assert report == PushReport("https://hub.example/a/b", (), (), 4)


def test_push_folder__stale_files_alone_are_deleted(folder, monkeypatch):
    api = Api(*[(f"old{number:03}", 1, None, "x") for number in range(103)])
    report = pushed(monkeypatch, api, folder, stages=((),), owned=lambda path: path != "old001", message="m")
    names = [f"old{number:03}" for number in range(103) if number != 1]
    assert [call for call in api.calls if call[0] == "delete"] == [
        ("delete", "a/b", names[:100], {"repo_type": "dataset", "commit_message": "m"}),
        ("delete", "a/b", names[100:], {"repo_type": "dataset", "commit_message": "m"}),
    ]
    assert (report.deleted, report.uploaded, report.unchanged) == (tuple(names), (), 0)


@pytest.mark.parametrize(("stale", "commits"), [(98, [98]), (99, [99]), (100, [99, 1]), (250, [99, 100, 51])])
def test_push_folder__a_commit_has_as_many_files_as_are_allowed(folder, monkeypatch, stale, commits):
    """The last stage has one file of its own; what is stale follows in the same commit, and in further ones."""
    names = [f"old{number:03}" for number in range(stale)]
    api = Api(*[(name, 1, None, "x") for name in names])
    report = pushed(monkeypatch, api, folder, owned=lambda path: path.startswith("old"))
    (_, data), (_, last) = [call for call in api.calls if call[0] == "upload"]
    assert (data["allow_patterns"], data["delete_patterns"]) == (["a[*]b.bin", "same.bin", "new.bin"], None)
    assert last["allow_patterns"] == ["README.md"]
    removed = [last["delete_patterns"], *(call[2] for call in api.calls if call[0] == "delete")]
    assert [len(part) for part in removed] == commits
    assert [name for part in removed for name in part] == names
    assert (len(report.uploaded), report.deleted) == (4, tuple(names))


def test_push_folder__a_stage_of_many_files_is_several_commits(tmp_path, monkeypatch):
    names = [f"{number:03}.bin" for number in range(201)]
    for name in names:
        (tmp_path / name).write_text(name)
    api = Api(("150.bin", 7, sha(b"150.bin"), "x"), ("old", 1, None, "x"))
    report = pushed(monkeypatch, api, tmp_path, stages=(names,), owned=lambda path: path == "old")
    sent = [(call[1]["allow_patterns"], call[1]["delete_patterns"]) for call in api.calls if call[0] == "upload"]
    assert sent == [(names[:100], None), ([*names[100:150], *names[151:200]], None), (names[200:], ["old"])]
    assert (report.unchanged, report.deleted) == (1, ("old",))


def test_push_folder__refusals(folder, monkeypatch):
    with pytest.raises(UsageError) as error:
        pushed(monkeypatch, Api(private=False), folder)
    assert "--public" in str(error.value)
    with pytest.raises(UsageError) as error:
        pushed(monkeypatch, Api(name_error="too long\nand more"), folder)
    assert "a/b" in str(error.value)


@pytest.mark.parametrize("repo", ["name", "a/b/c", "/name", "owner/", "/"])
def test_run__a_name_without_owner_or_name(repo):
    with pytest.raises(UsageError, match="OWNER/NAME"):
        cli.main(["folder", "--repo", repo])
