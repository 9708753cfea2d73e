"""Which package each protocol of an address needs, and which stores have no folders."""

import pytest

from builders.cluster import StorageFolder
from builders.errors import UsageError

PACKAGES = {
    "s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs", "sftp": "fsspec[sftp]",
    "x": "fsspec[x]",
}  # fmt: skip


@pytest.mark.parametrize("protocol", PACKAGES)
def test_address__names_the_package_to_install(monkeypatch, protocol):
    def absent(address):
        raise ImportError("no module")

    monkeypatch.setattr("builders.cluster.storage.open_store", absent)
    with pytest.raises(UsageError) as error:
        StorageFolder.of(f"{protocol}://b/run").read("a")
    package = PACKAGES[protocol]
    assert str(error.value).startswith(f"{protocol}://b/run needs the package ")
    assert str(error.value).endswith(f"pip install {package}")


OBJECTS = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "hf", "oss", "oci")


@pytest.mark.parametrize(("protocol", "makes"), [*((p, False) for p in OBJECTS), ("sftp", True), ("memory", True)])
def test_write__a_folder_is_made_where_stores_have_folders(monkeypatch, protocol, makes):
    calls = []

    class Store:
        def makedirs(self, path, exist_ok):
            calls.append((path, exist_ok))

        def pipe_file(self, path, data):
            assert (path, data) == ("buckets/run/a", b"1")

    monkeypatch.setattr("builders.cluster.storage.open_store", lambda address: (Store(), "buckets/run/a"))
    StorageFolder(f"{protocol}://buckets/run").write("a", b"1")
    assert calls == ([("buckets/run", True)] if makes else [])


def test_of__a_repository_of_the_hub_is_refused_in_a_whole_sentence():
    with pytest.raises(UsageError) as error:
        StorageFolder.of("hf://datasets/me/x")
    assert str(error.value) == (
        "hf://datasets/me/x: in a repository every file is a commit, of which the Hub takes 128 an hour; give "
        "hf://buckets/OWNER/NAME/..., and publish when all is finished"
    )
