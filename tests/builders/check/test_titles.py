"""Titles and columns of the page of a build, and texts of a published card, whole."""

import pytest

from builders.errors import UsageError
from builders.publish.cli import card_in


def test_card__names_the_viewer():
    card = card_in("a\n<!-- viewer -->\nb\n<!-- viewer -->\n", "me/photos")
    assert card == (
        "a\n[Rows in the Hub's viewer](https://huggingface.co/datasets/me/photos/embed/viewer), which shows public "
        "repositories; the address may be embedded in a page.\nb\n<!-- viewer -->\n"
    )


def test_check__near_duplicates_are_refused(tmp_path):
    from builders.check import check_folder

    with pytest.raises(UsageError) as error:
        check_folder(tmp_path, guarded_by=["near-duplicate"])
    assert "guarded_by" in str(error.value)
