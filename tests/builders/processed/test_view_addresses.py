"""Which folders rows of a data set may name files in, and which addresses are those of views."""

from types import SimpleNamespace

import pytest
from huggingface_hub import constants

from builders.errors import PhotoError, UsageError
from builders.processed.view_files import AllowedFolders, allowed_folders


def test_allowed_folders__named_and_of_arrow_files_and_of_the_repository_by_its_name(tmp_path, monkeypatch):
    cache = tmp_path / "hub"
    for name in (
        "datasets--org--pets",
        "datasets--pets",
        "datasets--org--mypets",
        "datasets--pets--org",
        "models--a--pets",
    ):
        (cache / name).mkdir(parents=True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    named, arrow = tmp_path / "named", tmp_path / "arrow"
    named.mkdir()
    dataset = SimpleNamespace(
        cache_files=[{"filename": str(arrow / "a.arrow")}], info=SimpleNamespace(dataset_name="pets")
    )
    by_name = {str(cache / "datasets--org--pets"), str(cache / "datasets--pets")}
    made = allowed_folders(dataset, named)
    assert (made.folders[:2], made.named) == ((str(named), str(arrow)), True)
    assert by_name < set(made.folders)
    assert not {f for f in made.folders if f.startswith(str(cache))} - by_name
    without = allowed_folders(SimpleNamespace(info=SimpleNamespace(dataset_name=None)), None)
    assert (without.named, {f for f in without.folders if f.startswith(str(tmp_path))}) == (False, set())
    with pytest.raises(UsageError):
        allowed_folders(dataset, tmp_path / "nowhere")


@pytest.mark.parametrize("named", [True, False])
def test_allowed_folders__a_file_elsewhere_says_how_to_name_its_folder(tmp_path, named):
    (tmp_path / "1.jpg").write_bytes(b"x")
    with pytest.raises(PhotoError) as caught:
        AllowedFolders((str(tmp_path / "other"),), named).read({"bytes": None, "path": str(tmp_path / "1.jpg")})
    assert str(caught.value).endswith("; if its photos lie there, say so by folder=DIR") is not named
    with pytest.raises(PhotoError) as caught:
        AllowedFolders((), False).read({"bytes": None, "path": None})
    assert "folder=DIR" not in str(caught.value)
