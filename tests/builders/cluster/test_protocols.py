"""Which package each protocol of an address needs, and which stores have no folders."""

import pytest

from builders.cluster import StorageFolder
from builders.errors import UsageError


def test_of__a_repository_of_the_hub_is_refused_in_a_whole_sentence():
    with pytest.raises(UsageError) as error:
        StorageFolder.of("hf://datasets/me/x")
    assert "//buckets/OWNER/NAME" in str(error.value)
