"""What each kind of data passes to the function that reads it, where a kind is local, and which options are wrong."""

from pathlib import Path

import pytest

import builders.simcams
import builders.sources
from builders.data_specs import KINDS, open_photos, parse_data_spec
from builders.errors import UsageError
from builders.extras.cameras import CAMERA_SETS
from builders.photos import ColumnSources, PhotoSet

PHOTOS = PhotoSet.of_bytes("read", {"a/b.jpg": b"1", "a/c.jpg": b"2"})
READERS = (
    "sample_photos", "labelled_folder", "imagenet_photos", "inaturalist_photos", "read_hub_photos", "stored_photos",
    "table_photos", "pathorob_photos", "wilds_photos", "detection_photos", "openfake_photos", "webdataset_photos",
    "read_pair_photos", "read_attribute_photos",
    "read_camera_folder",
)  # fmt: skip


@pytest.fixture
def calls(monkeypatch):
    """The readers that were called, with their arguments."""
    made = []

    def reader(name):
        return lambda *args, **options: made.append((name, args, options)) or PHOTOS

    for name in READERS:
        monkeypatch.setattr(builders.sources, name, reader(name))
    for name in ("simcams_photos", "simpairs_photos"):
        monkeypatch.setattr(builders.simcams, name, reader(name))
    monkeypatch.setattr(builders.sources, "check_layout", lambda *args, **options: None)
    monkeypatch.setattr(builders.sources, "with_columns", lambda photos, columns, **options: photos)
    return made


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("exif-folder:p?min-photos=2", "min-photos=2"),
        ("exif-folder:p?min-photos=x", "min-photos=x"),
        ("simcams?scenes=0", "scenes=0"),
        ("simcams?size=1.5", "size=1.5"),
        ("simpairs?scenes=-1", "scenes=-1"),
        ("fodb:p?scenes=0", "scenes=0"),
        ("simcams?scenes=" + "1" * 5000,
         f"{'1' * 5000}"),
        ("fodb:p?scenes=1234567890", "scenes=1234567890"),
        ("exif-folder:p?min-photos=1234567890",
         "min-photos=1234567890"),
        ("folder:p?val-share=0", "val-share=0"),
        ("folder:p?val-share=1", "val-share=1"),
        ("folder:p?val-share=nan", "val-share=nan"),
        ("folder:p?val-share=half", "val-share=half"),
        ("sample?val-share=0.5", "'val-share'"),
        ("sample?lable=x", "'label'"),
        ("built:p?val-share=0.5", "'val-share'"),
        ("plism:p.csv?scenes=2", "plism:p.csv"),
        ("plism:p?image=i", "plism:p"),
        ("scorpion:p?id=i", "scorpion:p"),
        ("scorpion:p?root=i", "scorpion:p"),
    ],
)  # fmt: skip
def test_kinds__a_wrong_option_is_one_sentence(text, sentence):
    with pytest.raises(UsageError) as caught:
        open_photos(text)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("sample", False), ("folder:p", True), ("folder:s3://b/p", False), ("folder:file:///p", True),
        ("exif-folder:p", True), ("hub:o/n", False), ("hub:n", False), ("hub:/o/n", True), ("hub:o/n/m", True),
        ("hub:here", True), ("hub:o/n@r", False), ("hub:./x", True), ("table:t.csv", True), ("pathorob:p", True),
        ("wilds:fmow", False), ("wilds:a/b", True), ("genimage:p", True), ("univfd:p", True), ("openfake:o/n", False),
        ("openfake:/o/n", True), ("built:o/n@r", False), ("built:here", True), ("flickrexif:hub:o/n@r", False),
        ("flickrexif:o/n", True), ("flickrexif:hub:here", True), ("paircams:hub:o/n", False), ("paircams:o/n", True),
        ("imagenet:p", True), ("inat2018:p", True), ("simcams", False), ("simcams:p", True), ("simpairs", False),
        ("simcams:procedural", False), ("simpairs:p", True), ("webdataset:a.tar", True),
        ("webdataset:https://x/a.tar", False),
        *((f"{name}:p", True) for name in CAMERA_SETS),
    ],
)  # fmt: skip
def test_kinds__paths_of_this_machine_are_local(tmp_path, monkeypatch, text, local):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    spec = parse_data_spec(text)
    assert KINDS[spec.kind].is_local(spec) is local


@pytest.mark.parametrize("kind", ["simcams", "simpairs"])
def test_kinds__the_name_that_results_show_opens_the_same_photos(kind):
    plain = open_photos(f"{kind}?scenes=3&size=64")
    named = open_photos(f"{plain.name}?scenes=3&size=64")
    assert plain.name == f"{kind}:procedural"
    assert (named.name, named.ids, named.read(1)) == (plain.name, plain.ids, plain.read(1))


def test_kinds__which_options_are_paths_which_have_tables_and_which_stream():
    assert {name for name, kind in KINDS.items() if kind.path_options} == {
        "table", "pathorob", "wilds", "dresden", "raise", "plism", "scorpion",
    }  # fmt: skip
    assert {option for kind in KINDS.values() for option in kind.path_options} == {"root"}
    read_columns = {"hub", "table", "pathorob", "wilds", "genimage", "univfd", "openfake", "webdataset", *CAMERA_SETS}
    assert {name for name, kind in KINDS.items() if kind.has_table} == read_columns
    assert {name for name, kind in KINDS.items() if kind.streams} == {"hub", "webdataset"}
    assert {name for name, kind in KINDS.items() if kind.has_revision} == {"hub", "openfake", "built"}
    for name, kind in KINDS.items():
        assert kind.usage.startswith(name)
        assert kind.summary
        assert ("root" in kind.options) == bool(kind.path_options)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("folder:", "'folder:'"),
        ("hub", "'hub'"),
        ("sample:", "'sample:'"),
        ("sample:x", "'sample:x'"),
        ("here", "'folder:here'"),
        ("here?label=x", "'folder:here?label=x'"),
        ("heres", "'folder:here'"),
        ("org/name@main?label=x", "'hub:org/name@main?label=x'"),
        ("cifar100", "'hub:cifar100'"),
        ("foldr", "'folder:PATH'"),
        ("foldr:p", "'folder:PATH'"),
    ],
)  # fmt: skip
def test_parse__an_unknown_kind_or_a_wrong_location_is_one_sentence(tmp_path, monkeypatch, text, sentence):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        parse_data_spec(text)
    assert sentence in str(caught.value)


def test_parse__an_unknown_kind_that_is_like_none_lists_all():
    with pytest.raises(UsageError) as caught:
        parse_data_spec("zzzzzz:p q")
    assert "zzzzzz:p" in str(caught.value)
    assert all(kind.usage in str(caught.value) for kind in KINDS.values())


def test_parse__locations_revisions_and_columns(tmp_path, monkeypatch):
    (tmp_path / "o@n").mkdir()
    monkeypatch.chdir(tmp_path)
    parsed = [parse_data_spec(text) for text in ("hub:o/n@r@s", "hub:o/n@", "hub:o@n", "folder:a@b", "simcams:")]
    assert [(spec.location, spec.revision) for spec in parsed] == [
        ("o/n", "r@s"), ("o/n", None), ("o@n", None), ("a@b", None), ("", None),
    ]  # fmt: skip
    spec = parse_data_spec("folder:p:q?label=l&group=a&group=b%3Dc&cluster=d&split=e&source=f&scene=h&name=z")
    assert spec.location == "p:q"
    assert dict(spec.options) == {
        "label": "l", "cluster": "d", "split": "e", "source": "f", "scene": "h", "name": "z",
    }  # fmt: skip
    assert spec.columns == ColumnSources.of("l", ["a", "b=c"], "d", "e", "f", "h")
    with pytest.raises(UsageError, match=r"'folder:p\?label=a&label=b'"):
        parse_data_spec("folder:p?label=a&label=b")
    assert Path(parse_data_spec("folder:~/x").location) == Path("~/x")
