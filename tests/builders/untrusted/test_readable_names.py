"""Names as text: whatever bytes a file's name has, it can be printed, encoded and distinguished."""

import os
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from builders.untrusted import is_readable, readable


def test_readable__escapes_characters_that_hide_reverse_or_command():
    assert readable("a\x1b[2Jb") == "a\\x1b[2Jb"
    assert readable("clip\u200b") == "clip\\u200b"
    assert readable("\u202egpj.exe") == "\\u202egpj.exe"
    assert readable("a\u3164b\ufe0f\U000e0041") == "a\\u3164b\\ufe0f\\U000e0041"
    assert readable(os.fsdecode(b"caf\xe9")) == "caf\\xe9"
    assert readable("\ud83d") == "\\ud83d"
    assert readable("naïve Straße 写真 👍.jpg") == "naïve Straße 写真 👍.jpg"


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters()) | st.binary().map(os.fsdecode))
def test_readable__is_plain_utf8_and_escapes_once(name):
    text = readable(name)
    text.encode("utf-8")
    assert readable(text) == text
    assert is_readable(text)
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in text)
    if is_readable(name):
        assert text == name
