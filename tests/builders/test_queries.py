"""Options after the question mark of a specification."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.cli import parse_query
from builders.errors import UsageError

VALUES = st.text(alphabet="ab=&%+\"' ?/()|é", min_size=1, max_size=8)


@given(st.lists(VALUES, max_size=4))
def test_parse_query__every_value_can_be_written_by_percent_escapes(values):
    query = "&".join(f"group={quote(value, safe='')}" for value in values)
    assert (parse_query(query, "data", ["group"]) if values else []) == [("group", value) for value in values]


@given(st.text(alphabet="ab=&%+' ?/()|é", min_size=1, max_size=8), st.sampled_from(["", "site="]))
def test_parse_query__a_quoted_value_is_as_written(value, name):
    assert parse_query(f'group={name}"{value}"&label=b', "data") == [("group", name + value), ("label", "b")]


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("image=img&label=fine_label&val=test", [("image", "img"), ("label", "fine_label"), ("val", "test")]),
        ("label=re:(a+|b?)=x", [("label", "re:(a+|b?)=x")]),
        ("group=site=re:a+b&group=c+d", [("group", "site=re:a+b"), ("group", "c d")]),
        ("label=re:a%26b%25", [("label", "re:a&b%")]),
        ("name=my+set", [("name", "my set")]),
        ("label='it&s'", [("label", "it&s")]),
        ('label="a"b"', [("label", 'a"b')]),
    ],
)
def test_parse_query__by_hand(query, options):
    assert parse_query(query, "data", ["group"]) == options


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("label", "'label' is none"),
        ("", "'' is none"),
        ("a=b&", "is none"),
        ("=b", "is none"),
        ("label=", "label= has no value"),
        ("label=a&label=b", "an option stands there twice: label="),
        ('label="re:a', "the quote is not closed"),
        ("label=re:(a&b)", r"'b\)' is none"),
        ("label=%ff", "not UTF-8"),
    ],
)
def test_parse_query__says_what_is_wrong(query, sentence):
    with pytest.raises(UsageError, match=f"^data 'x': .*{sentence}"):
        parse_query(query, "data 'x'", ["group"])
