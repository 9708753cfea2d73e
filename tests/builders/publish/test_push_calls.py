"""What an upload sends and in which order, by a double of the Hub's API; text and record of a planned upload."""

import hashlib
import json
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub.errors import HFValidationError

from builders.errors import DataError, UsageError
from builders.publish import cli, push
from builders.publish.cli import Publication, describe_publication, plan_publication, publish, push_built_folder
from builders.publish.push import PushReport, push_folder


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
    assert str(error.value) == ("a/b exists and is public: say --public if that is meant, or choose another --repo")
    with pytest.raises(UsageError) as error:
        pushed(monkeypatch, Api(name_error="too long\nand more"), folder)
    assert str(error.value) == "'a/b' is not a repository name: too long"


@pytest.mark.parametrize(
    ("is_bytes", "size", "sha256", "blob_id", "stated", "same"),
    [
        (False, 4, sha(b"data"), "x", None, True), (False, 4, sha(b"tada"), "x", None, False),
        (False, 4, "s", "x", "s", True), (False, 4, sha(b"data"), "x", "s", False), (False, 5, "s", "x", "s", False),
        (True, 4, sha(b"data"), "x", "s", True), (True, 4, "s", "x", "s", False),
        (True, 3, sha(b"data"), "x", "s", False),
        (False, 4, None, blob(b"data"), "s", True), (False, 4, None, blob(b"tada"), "s", False),
        (True, 4, None, blob(b"data"), None, True), (True, 4, None, "x", None, False),
    ],
)  # fmt: skip
def test_same__by_size_and_hash(tmp_path, is_bytes, size, sha256, blob_id, stated, same):
    (tmp_path / "f").write_bytes(b"data")
    lfs = None if sha256 is None else SimpleNamespace(sha256=sha256)
    remote = SimpleNamespace(size=size, lfs=lfs, blob_id=blob_id)
    local = b"data" if is_bytes else tmp_path / "f"
    assert push._same(local, remote, stated) is same
    assert push._same(local, None, stated) is False


def split_of(config, split, files, rows, file_bytes):
    shards = [SimpleNamespace(file=f"data/{config}/{split}-{i}.parquet", sha256=f"{config}{i}") for i in range(files)]
    return SimpleNamespace(config=config, split=split, shards=shards, rows=rows, file_bytes=file_bytes,
                           data_files=(f"data/{config}/{split}-*.parquet",))  # fmt: skip


def publication_in(folder, *, public=False, note="", shared=False):
    splits = [split_of("jpeg", "train", 2, 1234, 3_456_789), split_of("png", "test", 1, 5, 40_000)]
    splits[1].data_files = ("data/p-*", "data/q-*")
    shards = [shard for split in splits for shard in split.shards]
    build = SimpleNamespace(kind="processed", splits=splits, shared=shared, file_bytes=3_496_789, shards=shards,
                            configs=("jpeg", "png"))  # fmt: skip
    (folder / "build.json").write_bytes(bytes(2500))
    (folder / "README.md").write_bytes(bytes(9000))
    data = tuple(shard.file for shard in shards)
    return Publication(
        folder, "me/photos", public, build, data, ("build.json", "README.md"), bytes(1049), 4_500_000, note
    )


def test_describe_publication__whole(tmp_path):
    lines = [
        "me/photos (data set repository, private if it is created), kind: processed",
        "  data/jpeg/train-*.parquet  2 files, 1,234 rows, 3.5 MB",
        "  data/p-* and data/q-*  1 files, 5 rows, 0.0 MB",
        "  build.json  2.5 kB",
        "  README.md  1.0 kB",  # the card of the repository
        "in all 5 files, 4.5 MB",
    ]
    assert describe_publication(publication_in(tmp_path)).splitlines() == lines
    text = describe_publication(publication_in(tmp_path, public=True, note="Not to be passed on.", shared=True))
    assert text.splitlines() == [
        lines[0].replace("private", "public"), "note: Not to be passed on.", *lines[1:3],
        "  (configs share files: each photo is there once, 3.5 MB in all)", *lines[3:],
    ]  # fmt: skip


def test_publish__data_before_texts_and_what_it_owns(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(cli, "push_folder", lambda *given, **named: calls.append((given, named)) or "report")
    assert publish(publication_in(tmp_path, public=True)) == "report"
    ((given, named),) = calls
    owned = named.pop("owned")
    assert given == (tmp_path, "me/photos")
    data = ("data/jpeg/train-0.parquet", "data/jpeg/train-1.parquet", "data/png/test-0.parquet")
    assert named == {
        "stages": (data, ("build.json", "README.md")),
        "sha256": dict(zip(data, ("jpeg0", "jpeg1", "png0"), strict=True)),
        "contents": {"README.md": bytes(1049)},
        "public": True,
        "message": "processed: jpeg, png",
    }
    paths = ("data/a.parquet", "data/a/b.parquet", "data/a.txt", "a.parquet", "more/data/a.parquet")
    assert [owned(path) for path in paths] == [True, True, False, False, False]


REPORT = PushReport("https://hub.example/me/photos", ("a", "b"), ("c",), 7)


@pytest.mark.parametrize("pushes", [False, True])
def test_run__prints_and_records(tmp_path, monkeypatch, capsys, pushes):
    planned, calls = publication_in(tmp_path, note="A note."), []
    monkeypatch.setattr(cli, "plan_publication", lambda *given, **named: calls.append((given, named)) or planned)
    monkeypatch.setattr(cli, "publish", lambda publication: calls.append(publication) or REPORT)
    words = [str(tmp_path), "--repo", "me/photos", "--recipe", *["--push", "--public"] * pushes]
    assert cli.main(words) == 0
    assert capsys.readouterr().out.splitlines() == [
        *describe_publication(planned).splitlines(),
        "https://hub.example/me/photos: 2 uploaded, 7 unchanged, 1 removed" if pushes
        else "dry run: nothing was uploaded; add --push to publish this",
    ]  # fmt: skip
    assert calls == [((tmp_path, "me/photos"), {"public": pushes, "recipe": True}), *[planned] * pushes]
    assert cli.main([*words, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    done = {"url": REPORT.url, "uploaded": ["a", "b"], "unchanged": 7, "deleted": ["c"]}
    assert record == {
        "repo": "me/photos", "kind": "processed", "note": "A note.",
        "files": [*planned.data_files, "build.json", "README.md"], "bytes": 4_500_000, "dry_run": not pushes,
        **(done if pushes else dict.fromkeys(done)),
    }  # fmt: skip


def test_push_built_folder__prints_the_plan_and_the_end(tmp_path, monkeypatch, capsys):
    planned, calls = publication_in(tmp_path), []
    monkeypatch.setattr(cli, "plan_publication", lambda *given, **named: calls.append((given, named)) or planned)
    monkeypatch.setattr(cli, "publish", lambda publication: REPORT)
    push_built_folder(tmp_path, "me/photos")
    push_built_folder(tmp_path, "me/photos", public=True)
    assert calls == [((tmp_path, "me/photos"), {"public": public}) for public in (False, True)]
    assert capsys.readouterr().out.splitlines() == 2 * [
        *describe_publication(planned).splitlines(), "https://hub.example/me/photos: 2 uploaded, 7 unchanged, 1 removed"
    ]  # fmt: skip


@pytest.mark.parametrize("repo", ["name", "a/b/c", "/name", "owner/", "/"])
def test_run__a_name_without_owner_or_name(repo):
    with pytest.raises(UsageError) as error:
        cli.main(["folder", "--repo", repo])
    assert str(error.value) == f"--repo {repo}: write OWNER/NAME"


@pytest.fixture
def planning(tmp_path, monkeypatch):
    """Plan an upload of a build of a kind: pixels that are allowed or not, a licence, files of these names."""
    (tmp_path / "README.md").write_text("card PATH_OR_REPO")
    (tmp_path / "build.json").write_text("{}")
    (tmp_path / "x.parquet").write_bytes(bytes(100))
    (tmp_path / ".recipe").mkdir()
    (tmp_path / ".recipe" / "README.md").write_text("a recipe")
    (tmp_path / ".recipe" / "build.json").write_text("{...}")

    def plan(kind, *, allowed=True, settings=None, rows=0, files=(), **options):
        shards = [SimpleNamespace(file="x.parquet", file_bytes=100, sha256=sha(bytes(100)))]
        made = SimpleNamespace(kind=kind, shards=shards, recipe=settings or {},
                               pixels=SimpleNamespace(allowed=allowed, reason="Not to be passed on."))  # fmt: skip
        written = SimpleNamespace(kind="recipe", shards=[])
        for name in files:
            (tmp_path / name).write_text("{}\n")
        calls = []
        monkeypatch.setattr(cli, "read_build", lambda folder: made)
        monkeypatch.setattr(cli, "taken_down_rows", lambda folder, names: calls.append((folder, names)) or rows)
        monkeypatch.setattr(cli, "write_recipe", lambda source, target: calls.append((source, target)) or written)
        planned = plan_publication(tmp_path, "me/photos", **options)
        assert calls[0] == (tmp_path, ["x.parquet"])
        return planned, made, written, calls[1:]

    return plan


def test_plan_publication__pixels_or_a_recipe(planning, tmp_path):
    licence = {"license": "cc0-1.0"}
    card, texts = b"card PATH_OR_REPO", ("build.json", "README.md")
    for public in (False, True):
        planned, made, _, calls = planning("processed", settings=licence, public=public)
        assert planned == Publication(
            tmp_path, "me/photos", public, made, ("x.parquet",), texts, card, 100 + 2 + len(card), ""
        )
        assert calls == []
    for options in ({"allowed": False}, {"settings": licence, "recipe": True}, {"recipe": True, "public": True}):
        planned, _, written, calls = planning("processed", **options)
        assert calls == [(tmp_path, tmp_path / ".recipe")]
        assert planned == Publication(
            tmp_path / ".recipe", "me/photos", options.get("public", False), written, (), texts, b"a recipe", 5 + 8,
            "Not to be passed on.",
        )  # fmt: skip


def test_plan_publication__a_recipe_is_published_as_it_is(planning, tmp_path):
    for options in ({"allowed": False}, {}, {"public": True}):
        planned, made, _, calls = planning("recipe", **options)
        assert (planned.folder, planned.build, planned.note, calls) == (tmp_path, made, "", [])


def test_plan_publication__failures_and_tombstones_before_the_card(planning):
    planned, *_ = planning("flickrexif", files=("tombstones.txt", "failures.jsonl"))
    assert planned.text_files == ("failures.jsonl", "tombstones.txt", "build.json", "README.md")
    assert planned.total_bytes == 100 + 3 + 3 + 2 + len(planned.card)


def test_plan_publication__refusals(planning, tmp_path):
    with pytest.raises(DataError) as error:
        planning("flickrexif", rows=3)
    assert str(error.value) == f"{tmp_path}: 3 rows have been taken down since it was built; build it again (--fresh)"
    with pytest.raises(DataError) as error:
        planning("simcams", allowed=False)
    assert str(error.value) == f"{tmp_path}: cannot be published. Not to be passed on."
    for settings in ({}, {"license": "unknown"}):
        with pytest.raises(DataError) as error:
            planning("processed", settings=settings, public=True)
        assert str(error.value) == (
            f"{tmp_path}: the licence of its photos is unknown, so they cannot be made public; build it again with "
            "--license (finished files are used), or publish its --recipe or a private repository"
        )
    (tmp_path / "x.parquet").write_bytes(bytes(99) + b"1")
    with pytest.raises(DataError) as error:
        planning("processed")
    assert str(error.value) == (
        f"{tmp_path / 'x.parquet'}: missing or not as it was built; run the builder again, it goes on"
    )
