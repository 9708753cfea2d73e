"""The page of a build: each of its tables and sentences from facts that are written here; and longer lists of facts."""

import base64
import hashlib
import html.parser
import re

from builders.check.report.facts import (
    Duplicates,
    ReportFacts,
)
from builders.check.report.page import page_html
from builders.dataset import Build, PixelRights, SplitShards


class Text(html.parser.HTMLParser):
    """The text of a page, piece by piece, with the widths of bars and the attributes of pictures."""

    def __init__(self, page):
        super().__init__()
        self.pieces, self.bars, self.pictures, self.hidden = [], [], [], False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.hidden = tag == "style"
        if tag == "rect":
            self.bars.append(float(dict(attrs)["width"]))
        if tag == "img":
            self.pictures.append(
                (dict(attrs)["alt"], dict(attrs)["title"], dict(attrs)["width"], dict(attrs)["height"])
            )

    def handle_data(self, data):
        if data.strip() and not self.hidden:
            self.pieces.append(data.strip())


def build(*splits, allowed=True):
    rights = PixelRights(allowed, "It is said so." if not allowed else "")
    return Build("processed", "jpeg", {}, rights, {"pillow": "9", "canary": "c"}, splits)


def facts(made, **more):
    empty = {"distributions": (), "classes": (), "duplicates": (), "missing": (), "licences": (), "evidence": ()}
    return ReportFacts(folder="mine", build=made, photos=1234, **{**empty, **more})


def test_page__its_policy_allows_the_style_that_it_has():
    page = page_html(facts(build(SplitShards("jpeg", "train", ()))), [])
    style = re.search("<style>(.*?)</style>", page, re.DOTALL).group(1)
    policy = re.search('Content-Security-Policy" content="([^"]+)"', page).group(1)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy.replace("&#39;", "'").replace("&#43;", "+")


def test_page__of_a_build_without_anything_to_show():
    made = build(SplitShards("jpeg", "train", ()), allowed=False)
    duplicates = (Duplicates("equal files", 1, 2, 1),)
    joined = " | ".join(Text(page_html(facts(made), [])).pieces)
    for part in (
        "0 rows in 1 config, 0 files, 0.0 MB.", "The data have no pictures to show",
        "The data have no columns that describe photos.", "The pixels may not be published. | It is said so.",
        "The data hold no hashes of files or pictures to compare.", "No photo of the source is missing from the data.",
    ):  # fmt: skip
        assert part in joined
    assert "Codecs of" not in joined
    assert "Credits" not in joined
    assert '<td class="n bad">1</td>' in page_html(facts(made, duplicates=duplicates), [])
