"""Paths that are taken seldom, each by a direct call."""

import numpy as np
import pyarrow as pa

from builders.flickrexif.assemble.collect import codes_and_words


def test_codes_and_words__of_no_rows():
    column = pa.chunked_array([], type=pa.dictionary(pa.int32(), pa.string()))
    codes, words = codes_and_words(column)
    assert (codes.dtype, codes.shape, words) == (np.int64, (0,), [])
    codes, words = codes_and_words(pa.chunked_array([pa.array(["b", "a", "b"]).dictionary_encode()]))
    assert (codes.tolist(), words) == ([0, 1, 0], ["b", "a"])
