"""Tables of pairs that cannot be read."""

from __future__ import annotations

import pytest

from builders.errors import DataError, UsageError
from builders.sources import read_pair_photos

HEADER = "file,pair_id,camera,camera_type"


def listed(root, *lines, header=HEADER):
    root.mkdir(exist_ok=True)
    (root / "pairs.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return str(root)


PAIRS = "b.jpg,p,left,Phone", "a.jpg, p ,right,camera", "c.jpg,q,right,camera", "d.jpg,q,left,phone"


NO_PAIR = (
    "A pair is one photo by a phone and one by a camera of one pair_id; a folder holds pairs.csv with the columns "
    "file, pair_id, camera and camera_type; or phone/ and camera/ with files of the same name; or one folder per pair "
    "with a file phone.* and a file camera.*. For photos straight off two cards 'camtrace build paircams --propose' "
    "pairs them by time"
)


@pytest.mark.parametrize(
    ("lines", "error", "sentence"),
    [
        (("a.jpg,p,left,phone",), DataError,
         "{0}: no pair there (1 photos without their other half (for example a.jpg)). " + NO_PAIR),
        ((), DataError, "{0}: no pair there. " + NO_PAIR),
        ((*PAIRS, "b.jpg,z,left,phone"), DataError, "{0}/pairs.csv: a file stands there twice"),
        (("a.jpg,p,left,phone", "b.jpg,,x,"), DataError, "{0}/pairs.csv, line 3: file, pair_id and camera are needed"),
        ((",p,x,",), DataError, "{0}/pairs.csv, line 2: file, pair_id and camera are needed"),
        (("a.jpg,p, ,",), DataError, "{0}/pairs.csv, line 2: file, pair_id and camera are needed"),
        (("/a.jpg,p,x,",), DataError, "{0}/pairs.csv, line 2: '/a.jpg' points outside the folder"),
        (("b/../../a.jpg,p,x,",), DataError, "{0}/pairs.csv, line 2: 'b/../../a.jpg' points outside the folder"),
        (("a.jpg,p,x,phones",), UsageError, "{0}/pairs.csv, line 2: camera_type 'phones' is neither phone nor camera"),
    ],
)  # fmt: skip
def test_table__that_cannot_be(tmp_path, lines, error, sentence):
    source = listed(tmp_path / "set", *lines)
    with pytest.raises(error) as refused:
        read_pair_photos(source)
    assert str(refused.value) == sentence.format(source)
    with pytest.raises(DataError) as refused:
        read_pair_photos(f"{source}/none")
    assert f"{source}" in str(refused.value)
