"""The card of a built folder as the card of its repository: code that names it, and where its rows can be seen."""

from __future__ import annotations

import re

PLACE = "PATH_OR_REPO"
"""In the code of a card: the folder, or the repository that it was published to."""

VIEWER_MARK = "<!-- viewer -->"
"""In a card, the place of the viewer's address."""

_FENCE = re.compile(r"^```(?:python|bash)\n.*?^```$", re.MULTILINE | re.DOTALL)


def viewer_address(repo: str) -> str:
    """Where the Hub shows the rows of a public data set, as a page that others may embed.

    >>> viewer_address("me/photos")
    'https://huggingface.co/datasets/me/photos/embed/viewer'
    """
    return f"https://huggingface.co/datasets/{repo}/embed/viewer"


def card_in(text: str, repo: str) -> str:
    """The card as it stands in a repository. Nothing but code, and the mark, is touched; again changes nothing.

    Args:
        text: README.md of a built folder.
        repo: ``namespace/name``.

    >>> print(card_in("PATH_OR_REPO?\\n```bash\\nhf download PATH_OR_REPO\\n```\\n", "me/photos"), end="")
    PATH_OR_REPO?
    ```bash
    hf download me/photos
    ```
    """
    named = _FENCE.sub(lambda fence: fence[0].replace(PLACE, repo), text)
    seen = (
        f"[Rows in the Hub's viewer]({viewer_address(repo)}), which shows public repositories; "
        "the address may be embedded in a page."
    )
    return named.replace(VIEWER_MARK, seen, 1)
