"""``camtrace build publish`` with the unmodified Hub clients against the Hub double."""

import itertools
import json
import os
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from builders.data_specs import open_photos
from builders.dataset import BUILD_FILE
from builders.errors import DataError, RemoteError, UsageError
from builders.processed.build import build_processed
from builders.publish import retry
from builders.publish.cli import card_in, describe_publication, main, plan_publication
from tests.support.camera_sets import tree_of, write_tree
from tests.support.hub import OWNER_TOKEN, READER_TOKEN, HubDouble
from tests.support.processes import run_python

ROOT = Path(__file__).parents[3]
REPO = "camtrace/traces"


@pytest.fixture(scope="module")
def built(photo_folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("built") / "out"
    photos = open_photos(f"folder:{photo_folder}")
    build_processed(
        photos, output, parameters=("jpeg", "resizing"), assignment="study", license="cc-by-4.0", progress=False
    )
    return output


def client(hub, home, *command, token=OWNER_TOKEN, offline=False):
    """Run ``python COMMAND`` as somebody with a Hub account would; no output may hold the token."""
    environment = hub.environment(home, token) | ({"HF_HUB_OFFLINE": "1"} if offline else {})
    if command[0] == "-m":  # our own code sees to it that no bars are drawn
        del environment["HF_HUB_DISABLE_PROGRESS_BARS"]
    done = run_python(*command, env=environment, cwd=ROOT)
    assert OWNER_TOKEN not in done.stdout + done.stderr
    return done


def publish(hub, tmp_path, built, *options, **how):
    return client(hub, tmp_path / "home", "-m", "builders", "publish", built, "--repo", REPO, *options, **how)


def test_publish__dry_run_by_default_touches_no_network(built, capsys):
    assert main([str(built), "--repo", REPO]) == 0
    out = capsys.readouterr().out
    assert "private" in out
    assert "data/jpeg/train-*.parquet  1 files, 24 rows" in out
    assert "dry run: nothing was uploaded" in out


@pytest.mark.slow
def test_publish__push_then_again_uploads_nothing(hub, tmp_path, built):
    first = publish(hub, tmp_path, built, "--push")
    assert (first.returncode, first.stderr) == (0, "")
    repo = hub.repo(REPO)
    assert repo.private
    expected = {p.relative_to(built).as_posix(): p for p in built.rglob("*") if p.is_file()}
    # the Hub makes its own Croissant description
    expected = {name: p for name, p in expected.items() if not name.startswith(".") and name != "croissant.json"}
    held = {n: d for n, d in repo.files.items() if n != ".gitattributes"}
    card = held["README.md"].decode()
    assert {**held, "README.md": None} == {n: None if n == "README.md" else p.read_bytes() for n, p in expected.items()}
    assert card == card_in((built / "README.md").read_text(), REPO)
    assert 'load_dataset("camtrace/traces", "jpeg", split="train")' in card
    assert "(https://huggingface.co/datasets/camtrace/traces/embed/viewer)" in card
    assert "PATH_OR_REPO" not in card
    assert len(repo.messages) == 3  # the empty repository, the data, the texts
    commits, objects = hub.count("POST", "/commit/"), hub.count("PUT", "/lfs-object/")
    second = publish(hub, tmp_path, built, "--push")
    assert "0 uploaded, 6 unchanged" in second.stdout
    assert (hub.count("POST", "/commit/"), hub.count("PUT", "/lfs-object/")) == (commits, objects)


@pytest.mark.slow
def test_publish__stale_shards_are_removed_and_other_files_stay(hub, tmp_path, built):
    hub.create(REPO, private=True)
    stale = hub.repo(REPO).files | {"data/jpeg/train-00000-of-00009.parquet": b"PAR1", "eval.yaml": b"name: x\n"}
    foreign = {"more/a.parquet": b"PAR1", "data/notes.txt": b"mine", "data.parquet": b"PAR1"}
    stale |= foreign
    hub.repo(REPO).commit(stale, "by hand")
    done = publish(hub, tmp_path, built, "--push")
    assert "6 uploaded, 0 unchanged, 1 removed" in done.stdout, done.stderr
    assert "data/jpeg/train-00000-of-00009.parquet" not in hub.repo(REPO).files
    assert hub.repo(REPO).files["eval.yaml"] == b"name: x\n"
    assert {name: hub.repo(REPO).files.get(name) for name in foreign} == foreign


FAILURES = (
    {"method": "GET", "path": "/tree/", "status": 503},
    {"method": "POST", "path": "/preupload/", "status": None},
    {"method": "PUT", "path": "/lfs-object/", "status": 500},
    {"method": "POST", "path": "/commit/", "status": 412},
    {"method": "POST", "path": "/commit/", "status": 429, "headers": {"Retry-After": "1"}},
    {"method": "POST", "path": "/commit/", "status": None, "after_doing": True},
)


IMPATIENT = """
import sys
from builders.__main__ import main
from builders.publish import push as hub_push
hub_push.FIRST_WAIT_S = 0.01
sys.exit(main())
"""
"""``python -m builders`` that waits a hundredth of the time before it asks again, unless the Hub names one."""


@pytest.mark.slow
def test_publish__goes_on_after_failures(hub, tmp_path, built):
    for failure in FAILURES:
        hub.fail(**failure)
    done = client(hub, tmp_path / "home", "-c", IMPATIENT, "publish", built, "--repo", REPO, "--push")
    assert done.returncode == 0, done.stderr
    assert [failure.times for failure in hub.failures] == [0] * len(FAILURES)
    assert len(hub.repo(REPO).files) == 7
    assert len(hub.repo(REPO).messages) == 3  # nothing is committed twice, even if the answer was lost


@pytest.mark.slow
def test_publish__an_interrupted_upload_continues(hub, tmp_path, built):
    hub.fail("POST", "/commit/", times=1, status=403)
    broken = publish(hub, tmp_path, built, "--push")
    assert broken.returncode == 2
    assert "403" in broken.stderr
    assert broken.stderr.count("\n") == 1
    uploads = hub.count("PUT", "/lfs-object/")
    assert uploads == 4
    assert publish(hub, tmp_path, built, "--push").returncode == 0
    assert hub.count("PUT", "/lfs-object/") == uploads


@pytest.mark.parametrize("token", [None, READER_TOKEN])
def test_publish__without_the_right_to_write_is_one_sentence(hub, tmp_path, built, token):
    done = publish(hub, tmp_path, built, "--push", token=token)
    assert done.returncode == 2
    assert "hf auth login" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_publish__an_existing_public_repository_needs_public(hub, tmp_path, built):
    hub.create(REPO, private=False)
    refused = publish(hub, tmp_path, built, "--push")
    assert (refused.returncode, "say --public" in refused.stderr) == (2, True)
    assert publish(hub, tmp_path, built, "--push", "--public").returncode == 0


PUSH = """
import sys
from pathlib import Path
from builders.publish.push import push_folder
folder, repo = Path(sys.argv[1]), sys.argv[2]
data = sorted(path.relative_to(folder).as_posix() for path in folder.glob("data/*"))
done = push_folder(folder, repo, stages=(data, ["README.md"]), owned=lambda path: path.startswith("data/"))
print(len(done.uploaded), done.unchanged, len(done.deleted))
"""


def changes(repo):
    """Files that each commit added, changed or removed."""
    commits = list(repo.commits.values())
    return [
        sum(before.get(name) != after.get(name) for name in before.keys() | after.keys())
        for before, after in itertools.pairwise(commits)
    ]


@pytest.mark.slow
def test_push__at_most_a_hundred_files_a_commit(hub, tmp_path):
    folder = tmp_path / "many"
    (folder / "data").mkdir(parents=True)
    for number in range(230):
        (folder / "data" / f"{number:03d}.txt").write_text(str(number))
    (folder / "README.md").write_text("many")
    hub.create(REPO, private=True)
    old = {f"data/old-{number}.txt": b"old" for number in range(150)}
    hub.repo(REPO).commit({**hub.repo(REPO).files, **old}, "by hand")
    before = len(hub.repo(REPO).commits)
    script = ("-c", PUSH, folder, REPO)
    hub.fail("POST", "/commit/", times=1, status=403)
    assert client(hub, tmp_path / "home", *script).returncode != 0
    done = client(hub, tmp_path / "home", *script)
    assert done.stdout == "231 0 150\n", done.stderr
    assert changes(hub.repo(REPO))[before - 1 :] == [100, 100, 30, 100, 51]
    files = {name: data for name, data in hub.repo(REPO).files.items() if name != ".gitattributes"}
    assert files == {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}
    assert client(hub, tmp_path / "home", *script).stdout == "0 231 0\n"
    assert len(hub.repo(REPO).commits) == before + 5


LOAD = """
import json, os, sys
import datasets, huggingface_hub
sha = None if os.environ.get("HF_HUB_OFFLINE") else huggingface_hub.HfApi().dataset_info(sys.argv[1]).sha
seen = {}
for config in ("jpeg", "resizing"):
    for split in ("train", "validation"):
        part = datasets.load_dataset(sys.argv[1], config, split=split, revision=sha)
        rows = [(r["photo_id"], r[config], r["image"].size[0]) for r in part]
        if sha:
            stream = datasets.load_dataset(sys.argv[1], config, split=split, revision=sha, streaming=True)
            assert [(r["photo_id"], r[config], r["image"].size[0]) for r in stream] == rows, "stream differs"
            assert stream.features == part.features
        seen[f"{config}/{split}"] = rows
if sha:  # offline, datasets itself asks which of several cached configs is meant
    default = datasets.load_dataset(sys.argv[1], split="train", revision=sha)
    assert "jpeg" in default.features, default.features
    from builders import open_built
    views = open_built(sys.argv[1], "resizing", revision=sha)
    assert len(views.photos) == 36 and views.complete.sum() == 12
    assert views.read(30, 2)[:2] == b"\\xff\\xd8"
print(json.dumps(seen))
"""


@pytest.mark.slow
def test_publish__loads_streams_and_loads_again_offline(hub, tmp_path, built):
    assert publish(hub, tmp_path, built, "--push").returncode == 0
    online = client(hub, tmp_path / "reader", "-c", LOAD, REPO)
    assert online.returncode == 0, online.stderr[-2000:]
    seen = json.loads(online.stdout)
    assert {k: len(v) for k, v in seen.items()} == {
        "jpeg/train": 24,
        "jpeg/validation": 72,
        "resizing/train": 24,
        "resizing/validation": 36,
    }
    table = pq.read_table(built / "data/jpeg/validation-00000-of-00001.parquet")
    assert [row[1] for row in seen["jpeg/validation"]] == table.column("jpeg").to_pylist()
    before = len(hub.requests)
    offline = client(hub, tmp_path / "reader", "-c", LOAD, REPO, offline=True)
    assert offline.returncode == 0, offline.stderr[-2000:]
    assert json.loads(offline.stdout) == seen
    assert len(hub.requests) == before


@pytest.fixture(scope="module")
def imagenet_like(photo_folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("imagenet")
    for split in ("train", "val"):
        (root / split).mkdir()
        for name, wordnet_id in (("cat", "n02123045"), ("dog", "n02099601")):
            (root / split / wordnet_id).symlink_to(photo_folder / split / name)
    return root


@pytest.mark.slow
def test_publish__imagenet_goes_out_as_a_recipe_that_rebuilds_bit_for_bit(hub, tmp_path, imagenet_like):
    output = tmp_path / "out"
    command = ("-m", "builders", "imagenet", "--source", imagenet_like)
    options = ("--parameter", "jpeg,interpolation", "--assignment", "study")
    done = client(hub, tmp_path / "home", *command, "--output", output, *options, "--limit", "30")
    assert done.returncode == 0, done.stderr
    published = publish(hub, tmp_path, output, "--push")
    assert "ImageNet's terms of access forbid" in published.stdout
    files = hub.repo(REPO).files
    for name in files:
        assert b"\xff\xd8\xff" not in files[name], f"{name} holds a JPEG file"
    rows = pq.read_table(output / ".recipe/data/jpeg/train-00000-of-00001.parquet").column_names
    assert "image" not in rows
    assert "image_sha256" in rows
    again = client(
        hub, tmp_path / "other", *command, "--output", tmp_path / "again", "--recipe", REPO, "--workers", "2"
    )
    assert again.returncode == 0, again.stderr
    assert "every image is as the recipe says" in again.stdout
    for path in [*output.glob("data/**/*.parquet"), output / BUILD_FILE, output / "README.md"]:
        assert (tmp_path / "again" / path.relative_to(output)).read_bytes() == path.read_bytes()


def test_rebuild__a_source_file_that_changed_is_named(hub, tmp_path, imagenet_like, photo_folder):
    from builders.processed import write_recipe
    from builders.processed.recipe import rebuild
    from builders.sources import imagenet_photos

    build_processed(imagenet_photos(str(imagenet_like)), tmp_path / "out", progress=False)
    write_recipe(tmp_path / "out", tmp_path / "recipe")
    changed = tmp_path / "changed"
    for path in imagenet_like.glob("*/*/*.jpg"):
        target = changed / path.relative_to(imagenet_like)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    victim = changed / "train/n02099601/03.jpg"
    victim.write_bytes((photo_folder / "train/cat/05.jpg").read_bytes())
    with pytest.raises(DataError, match=r"train/n02099601/03\.jpg"):
        rebuild(str(tmp_path / "recipe"), imagenet_photos(str(changed)), tmp_path / "again")
    victim.unlink()
    with pytest.raises(DataError, match="36"):
        rebuild(str(tmp_path / "recipe"), imagenet_photos(str(changed)), tmp_path / "third")


def test_rebuild__other_codecs_are_refused(tmp_path, imagenet_like):
    from builders.processed import write_recipe
    from builders.processed.recipe import rebuild
    from builders.sources import imagenet_photos

    photos = imagenet_photos(str(imagenet_like))
    build_processed(photos, tmp_path / "out", progress=False)
    write_recipe(tmp_path / "out", tmp_path / "recipe")
    path = tmp_path / "recipe" / BUILD_FILE
    recipe = json.loads(path.read_text())
    recipe["recipe"]["codec"] |= {"canary": "0" * 16, "pillow": "9.9"}
    path.write_text(json.dumps(recipe))
    with pytest.raises(DataError, match=r"made with Pillow 9\.9"):
        rebuild(str(tmp_path / "recipe"), photos, tmp_path / "again")
    mine = {**recipe["recipe"], "codec": json.loads((tmp_path / "out" / BUILD_FILE).read_text())["codec"]}
    for spoilt in (
        {},
        {**mine, "codec": []},
        {**mine, "settings": []},
        {**mine, "settings": 5},
        {**mine, "settings": [{"parameter": "jpeg"}]},
        {**mine, "settings": [{**mine["settings"][0], "seed": "x"}]},
        {**mine, "items_per_shard": {"jpeg/train": 0}},
        {**mine, "build": [{"shards": [{"failures": [5]}]}]},
        {name: value for name, value in mine.items() if name != "ids_hash"},
    ):
        path.write_text(json.dumps({**recipe, "recipe": spoilt}))
        with pytest.raises(DataError, match="camtrace"):
            rebuild(str(tmp_path / "recipe"), photos, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_plan_publication__a_card_that_is_a_pipe_is_not_waited_for(tmp_path, built):
    copy = tmp_path / "copy"
    shutil.copytree(built, copy)
    card = (copy / "README.md").read_bytes()
    (copy / "README.md").write_bytes(card + b"\xff")
    with pytest.raises(DataError, match="not UTF-8 text"):
        plan_publication(copy, REPO)
    (copy / "README.md").unlink()
    os.mkfifo(copy / "README.md")
    with pytest.raises(DataError):
        plan_publication(copy, REPO)


def test_plan_publication__pixels_of_unknown_licence_are_never_public(photo_folder, tmp_path):
    photos = open_photos(f"folder:{photo_folder}")
    options = {"parameters": ("sharpening",), "progress": False}
    build_processed(photos, tmp_path / "out", **options)
    with pytest.raises(DataError):
        plan_publication(tmp_path / "out", REPO, public=True)
    assert plan_publication(tmp_path / "out", REPO).data_files  # private
    assert plan_publication(tmp_path / "out", REPO, public=True, recipe=True).build.kind == "recipe"
    build_processed(photos, tmp_path / "out", license="cc0-1.0", **options)  # finished files are used
    assert plan_publication(tmp_path / "out", REPO, public=True).data_files


def test_plan_publication__refuses_what_is_not_a_finished_build(tmp_path, built):
    with pytest.raises(DataError, match="no finished build"):
        plan_publication(tmp_path, REPO)
    copy = tmp_path / "copy"
    for path in built.rglob("*"):
        if path.is_file():
            (copy / path.relative_to(built)).parent.mkdir(parents=True, exist_ok=True)
            (copy / path.relative_to(built)).write_bytes(path.read_bytes())
    assert "6 files" in describe_publication(plan_publication(copy, REPO))
    shard = copy / "data/jpeg/train-00000-of-00001.parquet"
    data = shard.read_bytes()
    for changed in (data[:-1], data + b"0", data[:99] + bytes([data[99] ^ 1]) + data[100:], None):
        shard.unlink() if changed is None else shard.write_bytes(changed)
        with pytest.raises(DataError):
            plan_publication(copy, REPO)
    with pytest.raises(UsageError, match="OWNER/NAME"):
        main([str(built), "--repo", "no-namespace"])
    (copy / BUILD_FILE).write_text('{"format": 1}')
    with pytest.raises(DataError, match="not a build file"):
        plan_publication(copy, REPO)


@pytest.mark.slow
def test_publish__through_xet_where_it_is_installed(tmp_path, built):
    pytest.importorskip("hf_xet")
    with HubDouble(xet_store=tmp_path / "store") as hub:
        (tmp_path / "store").mkdir()
        first = publish(hub, tmp_path, built, "--push")
        assert first.returncode == 0, first.stderr[-2000:]
        files = {n: d for n, d in hub.repo(REPO).files.items() if n != ".gitattributes"}
        assert all(files[n] == (built / n).read_bytes() for n in files if n != "README.md")
        assert len(files) == 6
        assert hub.count("PUT", "/lfs-object/") == 0
        assert len(hub.xet_hashes) == 4
        loaded = client(hub, tmp_path / "reader", "-c", LOAD, REPO)
        assert loaded.returncode == 0, loaded.stderr[-2000:]
        assert {k: len(v) for k, v in json.loads(loaded.stdout).items()} == {
            "jpeg/train": 24,
            "jpeg/validation": 72,
            "resizing/train": 24,
            "resizing/validation": 36,
        }
        assert hub.count("GET", "/xet-read-token/") > 0  # the files came from the store, not from /resolve/


@pytest.mark.parametrize(
    "error", [json.JSONDecodeError("Expecting value", "", 0), KeyError("oid"), TypeError("a list")]
)
def test_retry__a_malformed_answer_is_one_sentence_and_the_request_is_not_repeated(error):
    calls = []

    def call() -> None:
        calls.append(1)
        raise error

    with pytest.raises(RemoteError, match=re.escape(str(type(error).__name__))):
        retry(call, "a/b")
    assert len(calls) == 1


def test_plan_publication__of_a_camera_set_is_a_recipe_with_its_terms(tmp_path):
    photos = open_photos(f"fodb:{write_tree(tmp_path / 'set', tree_of('fodb'))}?name=mine")
    build_processed(photos, tmp_path / "out", parameters=("jpeg",), license="cc0-1.0", progress=False)
    planned = plan_publication(tmp_path / "out", REPO, public=True)
    assert planned.build.kind == "recipe"
    assert planned.note.startswith("FODB: for research, not to be passed on")
    assert planned.data_files
    for name in planned.data_files:
        assert "image" not in pq.read_table(planned.folder / name).column_names
        assert b"\xff\xd8\xff" not in (planned.folder / name).read_bytes()
    push = [str(tmp_path / "out"), "--repo", REPO, "--public"]
    assert main(push) == 0
