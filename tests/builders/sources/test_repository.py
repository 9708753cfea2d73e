"""``DatasetRepo``: names of data sets on the Hub and in folders, and errors of one sentence."""

import datasets
import pytest

from builders.data_specs import open_photos
from builders.errors import DataError
from builders.sources import DatasetRepo, read_pair_photos
from tests.conftest import photo_bytes


def test_dataset_repo__a_folder_keeps_its_at_sign_and_gives_its_last_part(tmp_path):
    folder = tmp_path / "mine@home"
    folder.mkdir()
    repo = DatasetRepo.parse(str(folder))
    assert (repo.location, repo.revision, repo.name) == (str(folder), None, "mine@home")
    assert repo.resolved_revision() == "local"
    assert DatasetRepo.parse("org/name").name == "org/name"
    assert DatasetRepo.parse("org/name@").revision is None


@pytest.mark.parametrize(("text", "reason"), [("first\nsecond", "first"), ("", "KeyError")])
def test_dataset_repo__what_load_dataset_raises_is_one_sentence(monkeypatch, text, reason):
    def refuse(*args, **kwargs):
        raise KeyError if not text else RuntimeError(text)

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    monkeypatch.setattr(datasets, "get_dataset_config_names", refuse)
    sentences = {
        "hub:org/name@main": "hub:org/name: cannot be loaded",
        "hub:org/name?config=fr": "hub:org/name: config fr cannot be loaded",
        "paircams:hub:org/name@main": "hub:org/name: cannot be loaded",
        "flickrexif:hub:org/name@main": "flickrexif:org/name: cannot be opened",
    }
    for spec, sentence in sentences.items():
        with pytest.raises(DataError) as error:
            open_photos(spec)
        assert str(error.value) == f"{sentence} ({reason})"
    monkeypatch.setattr(datasets, "get_dataset_config_names", lambda *args, **kwargs: ["make"])
    with pytest.raises(DataError) as error:
        open_photos("flickrexif:hub:org/name")
    assert f"{reason}" in str(error.value)


def test_pair_photos__of_a_folder_in_the_released_form_does_not_tell_where_it_is(tmp_path):
    folder = tmp_path / "pairs@home"
    features = {"image": datasets.Image(), "subject_idx": datasets.Value("int64"), "model": datasets.Value("string")}
    rows = [
        {"image": {"bytes": photo_bytes(i), "path": None}, "subject_idx": 7, "model": model}
        for i, model in enumerate(("pixel 4", "coolpix s200"))
    ]
    data = datasets.Dataset.from_list(rows, features=datasets.Features(features))
    data.to_parquet(str(folder / "data" / "train-00000-of-00001.parquet"))
    photos = read_pair_photos(f"hub:{folder}")
    assert photos.name == "paircams:pairs@home"
    assert photos.columns["camera"].tolist() == ["pixel 4", "coolpix s200"]
