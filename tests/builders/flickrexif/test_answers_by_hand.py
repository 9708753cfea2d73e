"""Answers of Flickr by hand: which entries of Exif are stored and in which order, waits, addresses that get a key."""

import hashlib
import time

import pytest

from builders.errors import UsageError
from builders.flickrexif.api.client import checked_endpoint, is_this_machine, retry_after
from builders.flickrexif.api.exif_answers import entries_from_response
from builders.flickrexif.api.licences import attribution_line, chosen_licences, redistributable
from builders.flickrexif.api.search_results import is_nsid, rank, size_of_url


def entries(*listed):
    return entries_from_response({"photo": {"exif": list(listed)}})


def entry(space, tag, raw):
    return {"tagspace": space, "tag": tag, "raw": raw}


def test_entries__of_every_form_and_in_the_order_of_trust():
    assert entries(
        entry("XMP-tiff", "Make", "a"), entry("InteropIFD", "Make", "b"), entry("SubIFD", "Make", "c"),
        entry("ExifIFD", "FNumber", 4.5), entry("IFD0", "Make", {"_content": "d"}), entry("ExifIFD", "ISO", 0),
    ) == {
        ("IFD0", "Make"): "d", ("ExifIFD", "FNumber"): "4.5", ("ExifIFD", "ISO"): "0", ("SubIFD", "Make"): "c",
        ("InteropIFD", "Make"): "b", ("XMP-tiff", "Make"): "a",
    }  # fmt: skip
    order = list(entries(entry("XMP", "Make", "x"), entry("ExifIFD", "Make", "y"), entry("IFD0", "Make", "z")))
    assert [space for space, _ in order] == ["IFD0", "ExifIFD", "XMP"]


def test_entries__the_first_of_equal_keys_and_at_most_a_thousand_characters():
    assert entries(entry("IFD0", "Make", "a"), entry("IFD0", "Make", "b")) == {("IFD0", "Make"): "a"}
    (long,) = entries(entry("IFD0", "Model", "m" * 1001)).values()
    assert long == "m" * 1000


@pytest.mark.parametrize(
    "left_out",
    [
        entry("IFD0", "Artist", "Ana"), entry("GPS", "Make", "x"), entry("GPS-1", "Model", "x"),
        entry("IFD0", "Make", {}), entry("IFD0", "Make", ""), entry("IFD0", "Make", None), "text", None,
        {"tag": "SerialNumber", "raw": "1"},
    ],
)  # fmt: skip
def test_entries__of_persons_and_places_and_empty_ones_are_not_stored(left_out):
    assert entries(left_out, entry("IFD0", "Model", "m")) == {("IFD0", "Model"): "m"}


@pytest.mark.parametrize("response", [{}, {"photo": {}}, {"photo": {"exif": {}}}, {"photo": [1]}, {"photo": None}])
def test_entries__of_no_list(response):
    assert entries_from_response(response) == {}


NOW = 1_700_000_000  # 2023-11-14 22:13:20 UTC


@pytest.mark.parametrize(
    ("text", "status", "seconds"),
    [
        ("7", 429, 7.0), (" 7 ", 503, 7.0), ("0", 500, 0.0), ("3600", 429, 3600.0), ("3601", 429, 3600.0),
        ("7", 499, None), ("7", 404, None), ("", 429, None), ("soon", 429, None), ("-7", 429, None),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 429, 60.0), ("Tue, 14 Nov 2023 22:12:20 GMT", 429, 0.0),
        ("Tue, 14 Nov 2023 23:14:20 GMT", 500, 3600.0),
        ("Tue, 14 Nov 2023 99999999999:00:00 GMT", 429, None), ("Tue, 14 Nov 99999 22:14:20 GMT", 429, None),
        (f"Tue, 14 Nov 2023 22:14:20 -{'9' * 20}", 429, None), ("Tue, 14 Nov 2023 22:14:20 +9999", 429, None),
    ],
)  # fmt: skip
def test_retry_after__of_a_busy_server(text, status, seconds):
    assert retry_after({"Retry-After": text}, status, NOW) == seconds


def test_retry_after__the_clock_of_this_machine_is_the_default():
    at = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 100))
    assert 90 < retry_after({"Retry-After": at}, 429) <= 100
    assert retry_after({}, 429) is None


@pytest.mark.parametrize(
    "url", ["https://api.flickr.com/rest", "http://127.0.0.1:5/", "http://localhost/", "http://[::1]/"]
)
def test_endpoint__that_a_key_may_be_sent_to(url):
    assert checked_endpoint(url) == url
    assert is_this_machine(url) is not url.startswith("https")


@pytest.mark.parametrize("url", ["http://api.flickr.com/", "ftp://127.0.0.1/", "https://", "http://127.0.0.2/", "x"])
def test_endpoint__that_a_key_is_not_sent_to(url):
    with pytest.raises(UsageError):
        checked_endpoint(url)


@pytest.mark.parametrize(
    ("names", "flags", "ids"),
    [
        ((), {}, (4, 5, 7, 8, 9, 10, 11, 12)),
        ((), {"non_commercial": True}, (1, 2, 4, 5, 7, 8, 9, 10, 11, 12, 14, 15)),
        ((), {"no_derivatives": True}, (4, 5, 6, 7, 8, 9, 10, 11, 12, 13)),
        ((), {"non_commercial": True, "no_derivatives": True}, tuple(range(1, 17))),
        ((" CC-BY-4.0 ", "9", "9"), {}, (9, 11)),
        (("cc-by-nc-nd-2.0",), {"non_commercial": True, "no_derivatives": True}, (3,)),
    ],
)
def test_licences__of_a_search(names, flags, ids):
    assert chosen_licences(names, **flags) == ids


@pytest.mark.parametrize(
    ("name", "flags", "words"),
    [
        ("0", {"non_commercial": True, "no_derivatives": True}, "licence all-rights-reserved: such photos may not be"),
        ("cc-by-nc-2.0", {"no_derivatives": True}, "licence cc-by-nc-2.0: add --non-commercial or --no-derivatives"),
        ("cc-by-nd-2.0", {"non_commercial": True}, "licence cc-by-nd-2.0: add --non-commercial or --no-derivatives"),
        ("17", {}, "licence"),
        ("cc-by-9.0", {}, "licence"),
    ],
)
def test_licences__that_are_refused(name, flags, words):
    with pytest.raises(UsageError, match=words):
        chosen_licences([name], **flags)


def test_credit__of_what_is_known():
    page = "https://f/1"
    assert attribution_line(None, "", page, None) == f'"Untitled" by an unnamed author, {page}, licence unknown'
    assert attribution_line("a\n b", " c ", page, 0) == f'"a b" by c, {page}, All rights reserved'
    assert attribution_line("a", "b", page, 99).endswith("licence unknown")
    assert [redistributable(i) for i in (None, 0, 1, 16, 17, 99)] == [False, False, True, True, False, False]


def test_ids__of_owners():
    texts = ("12345678@N00", "1@N99", "12345678@N0", "a@N00", "12345678@N001", "1@N00x", "1" * 16 + "@N00")
    assert [is_nsid(text) for text in texts] == [True, True, False, False, False, False, False]


def test_rank__is_a_seeded_hash_of_63_bits():
    digest = hashlib.blake2b(b"flickrexif cap\x003\x0012", digest_size=8).digest()
    assert rank(12, 3) == int.from_bytes(digest, "big") // 2
    assert rank(12, 4) != rank(12, 3) < 2**63


def test_sizes__by_the_end_of_an_address():
    ends = ("_o.jpg", "_b_d.png", "_s.jpg", "_m.jpg", ".gif", "_k.jpg", "_zz.jpg", "_o", "_o.jpg?x=1", "_o.jpeg")
    names = ["o", "l", "sq", "s", "m", "k", "unknown", "unknown", "o", "o"]
    assert [size_of_url(f"https://a/1/2_ab{end}") for end in ends] == names
