"""Downloads of one file: refusals, transient failures, and time limits."""

import asyncio
import hashlib
import io

import httpx
import numpy as np
import piexif
import pytest
from PIL import Image

from builders.flickrexif.fetch.download import DownloadFailure, download, is_complete_file, photo_client
from builders.untrusted import Pace
from tests.support.flickr_answers import IMAGE, JPEG, answering
from tests.support.images import image_bytes


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><html>", b"\n  <html>", b"\xef\xbb\xbf<?xml version='1.0'?>"])
def test_download__a_page_served_as_an_image_is_tried_again(tmp_path, page):
    with answering((200, IMAGE, page)) as url, pytest.raises(DownloadFailure) as failure:
        get(url, tmp_path / "file")
    assert (failure.value.error_class, failure.value.permanent) == ("not an image", False)


def get(url, target, **options):
    async def once():
        async with photo_client(user_agent="t", timeout_s=5, allow_loopback=True) as client:
            return await download(client, url, target, **{"allow_loopback": True, **options})

    return asyncio.run(once())


@pytest.mark.parametrize(
    ("answers", "error_class", "permanent"),
    [
        ([(404, {}, b"")], "gone", True),
        ([(410, {}, b"")], "gone", True),
        ([(451, {}, b"")], "gone", True),
        ([(400, {}, b"")], "refused", True),
        ([(401, {}, b"")], "refused", True),
        ([(403, {}, b"")], "refused", True),
        ([(402, {}, b"")], "http 402", False),
        ([(206, IMAGE, JPEG)], "http 206", False),
        ([(500, {}, b"")], "http 500", False),
        ([(429, {"Retry-After": "3"}, b"")], "http 429", False),
        ([(200, {"Content-Type": "text/html"}, b"<html>")], "not an image", False),
        ([(200, {"Content-Type": "application/json; a=b"}, b"{}")], "not an image", False),
        ([(200, {"Content-Type": "Application/XML"}, b"<a/>")], "not an image", False),
        ([(200, {"Content-Type": "video/mp4"}, b"x")], "not an image", True),
        ([(200, IMAGE, b"no image at all")], "not an image", True),
        ([(200, IMAGE, b"")], "short", False),
        ([(200, {**IMAGE, "Content-Length": "900"}, JPEG)], "connection", False),
        ([(200, {**IMAGE, "Content-Length": "99999999"}, JPEG)], "too large", True),
        ([(200, IMAGE, JPEG * 10)], "too large", True),
        ([(200, {**IMAGE, "Content-Encoding": "gzip"}, JPEG)], "encoded", True),
        ([(302, {}, b"")], "redirects", False),
        ([(302, {"Location": "file:///etc/passwd"}, b"")], "bad url", True),
        ([(302, {"Location": "http://10.0.0.1/x.jpg"}, b"")], "address refused", True),
        ([(302, {"Location": "http://169.254.169.254/latest"}, b"")], "address refused", True),
        ([(302, {"Location": "http://me:pw@127.0.0.1/"}, b"")], "bad url", True),
        ([(302, {"Location": "https://s.yimg.com/pw/images/en-us/photo_unavailable_l.png"}, b"")], "unavailable", True),
        ([(302, {"Location": "/again.jpg"}, b"")], "redirects", True),
    ],
)
def test_download__every_way_to_fail_has_its_class(tmp_path, answers, error_class, permanent):
    with answering(*answers) as url, pytest.raises(DownloadFailure) as failure:
        get(url, tmp_path / "file", max_bytes=2000)
    assert (failure.value.error_class, failure.value.permanent) == (error_class, permanent)


def test_download__follows_redirects_of_its_own_kind(tmp_path):
    with answering((301, {"Location": "/moved.jpg"}, b""), (200, IMAGE, JPEG)) as url:
        downloaded = get(url, tmp_path / "file")
    file = (downloaded.bytes, downloaded.suffix, downloaded.sha256)
    assert file == (len(JPEG), ".jpg", hashlib.sha256(JPEG).hexdigest())
    assert (tmp_path / "file").read_bytes() == JPEG


def follow(tmp_path, hops, requests):
    """Download the first of ``hops`` {address: target of its redirect, "" for the photo}, recorded in requests."""

    def answer(request):
        requests.append(str(request.url))
        target = hops[requests[-1]]
        if target:
            return httpx.Response(302, headers={"Location": target})
        return httpx.Response(200, headers=IMAGE, content=body())

    async def body():
        yield JPEG

    async def once():
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            return await download(client, next(iter(hops)), tmp_path / "file")

    return asyncio.run(once())


def slow(tmp_path, pace, *, headers_s=0.0, part_s=0.0, parts=50, part=b"x"):
    """Download from a server that waits before its headers, and before each part of the body."""

    async def answer(request):
        await asyncio.sleep(headers_s)
        return httpx.Response(200, headers=IMAGE, content=body())

    async def body():
        yield JPEG[:4]
        for _ in range(parts):
            await asyncio.sleep(part_s)
            yield part
        yield JPEG[-2:]

    async def once():
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            return await download(client, "https://a.example/1.jpg", tmp_path / "file", pace=pace)

    return asyncio.run(once())


@pytest.mark.parametrize(
    ("how", "pace", "error_class", "reason"),
    [
        ({"headers_s": 30.0}, Pace(headers_s=0.05), "timeout", "answer"),
        ({"part_s": 0.02}, Pace(grace_s=0.05, least_bytes_per_s=1e6), "too slow", "fewer than 1,000,000 a second"),
        ({"part_s": 0.02, "part": bytes(10**6)}, Pace(deadline_s=0.05), "too slow", "not complete after"),
    ],
)
def test_download__stops_at_a_server_that_is_too_slow(tmp_path, how, pace, error_class, reason):
    with pytest.raises(DownloadFailure, match=reason) as failure:
        slow(tmp_path, pace, **how)
    assert (failure.value.error_class, failure.value.permanent) == (error_class, False)


def test_download__accepts_a_slow_server_above_the_least_rate(tmp_path):
    downloaded = slow(tmp_path, Pace(grace_s=0.0, least_bytes_per_s=1.0), part_s=0.002, parts=20)
    assert downloaded.bytes == 26


SAFE, ALSO_SAFE, PLAIN = "https://a.example/1.jpg", "https://b.example/2.jpg", "http://c.example/3.jpg"


@pytest.mark.parametrize("way", [(SAFE, ALSO_SAFE), (PLAIN, SAFE), (PLAIN, "http://d.example/4.jpg", SAFE, ALSO_SAFE)])
def test_download__redirects_between_hosts_and_to_https(tmp_path, way):
    requests = []
    downloaded = follow(tmp_path, dict(zip(way, (*way[1:], ""), strict=True)), requests)
    assert (downloaded.url, requests) == (way[-1], list(way))


@pytest.mark.parametrize("way", [(SAFE, PLAIN), (SAFE, ALSO_SAFE, PLAIN), (PLAIN, SAFE, "http://a.example/1.jpg")])
def test_download__never_leaves_https_for_http(tmp_path, way):
    requests = []
    with pytest.raises(DownloadFailure) as failure:
        follow(tmp_path, dict(zip(way, (*way[1:], ""), strict=True)), requests)
    assert (failure.value.error_class, failure.value.permanent) == ("redirects", True)
    assert requests == list(way[:-1])


@pytest.mark.parametrize("url", ["ftp://x/1.jpg", "http:///1.jpg", "https://a@b/1.jpg", "http://x:99999/", "x"])
def test_download__invalid_addresses(tmp_path, url):
    with pytest.raises(DownloadFailure) as failure:
        get(url, tmp_path / "file")
    assert failure.value.error_class == "bad url"


def picture_bytes(format):
    exif = piexif.dump(
        {"thumbnail": image_bytes(Image.new("RGB", (8, 8)), "JPEG"), "1st": {}}
    )  # the end of the thumbnail is not the end of the file
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    options = {"exif": exif} if format == "JPEG" else {}
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "HEIF"])
def test_download__recognises_a_truncated_body_without_content_length(tmp_path, format):
    if format == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    whole, kind = picture_bytes(format), {"Content-Type": f"image/{format.lower()}"}
    with answering((200, kind, whole)) as url:
        assert get(url, tmp_path / "file").bytes == len(whole)
    for cut in (len(whole) // 3, len(whole) // 2, len(whole) - 100):
        with answering((200, kind, whole[:cut])) as url, pytest.raises(DownloadFailure) as failure:
            get(url, tmp_path / "file")
        assert (failure.value.error_class, failure.value.permanent) == ("short", False)
    if format == "JPEG":  # bytes after the end do not matter
        with answering((200, kind, whole + b"maker's data")) as url:
            assert get(url, tmp_path / "file").bytes == len(whole) + 12


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_download__follows_every_kind_of_redirect(tmp_path, status):
    with answering((status, {"Location": "/moved.jpg"}, b""), (200, IMAGE, JPEG)) as url:
        assert get(url, tmp_path / "file").url.endswith("/moved.jpg")


@pytest.mark.parametrize("kind", ["application/octet-stream", "binary/octet-stream", "image/x-unknown", ""])
def test_download__content_types_that_may_be_photos(tmp_path, kind):
    with answering((200, {"Content-Type": kind}, JPEG)) as url:
        assert get(url, tmp_path / "file").content_type == "image/jpeg"


def test_download__as_large_as_allowed(tmp_path):
    with answering((200, IMAGE, JPEG)) as url:
        assert get(url, tmp_path / "file", max_bytes=len(JPEG)).bytes == len(JPEG)
    for headers in (IMAGE, {**IMAGE, "Content-Length": str(len(JPEG))}):
        with answering((200, headers, JPEG)) as url, pytest.raises(DownloadFailure) as failure:
            get(url, tmp_path / "file", max_bytes=len(JPEG) - 1)
        assert failure.value.error_class == "too large"


SCAN = b"\xff\xda\0\x02picture"


def box(kind: bytes, body: bytes = b"", length: int | None = None) -> bytes:
    return (8 + len(body) if length is None else length).to_bytes(4, "big") + kind + body


@pytest.mark.parametrize(
    ("suffix", "data", "complete"),
    [
        (".jpg", b"\xff\xd8" + SCAN + b"\xff\xd9", True),
        (".jpg", b"\xff\xd8" + SCAN, False),
        (".jpg", b"\xff\xd8" + SCAN + b"\xff\xd9 and more", True),
        (".jpg", b"\xff\xd8\xff\xff\xff" + SCAN + b"\xff\xd9", True),  # fill bytes
        (".jpg", b"\xff\xd8\xff\x01\xff\xd0\xff\xd7" + SCAN + b"\xff\xd9", True),  # markers without a length
        (".jpg", b"\xff\xd8\xff\xe1\0\x06\xff\xd9\xff\xda" + SCAN, False),  # inside a segment
        (".jpg", b"\xff\xd8\xff\xe1\0\0" + SCAN + b"\xff\xd9", True),  # a length has two bytes at least
        (".jpg", b"\xff\xd8\xff\xe1\0\x03" + SCAN + b"\xff\xd9", False),  # the next marker begins with FF
        (".jpg", b"\xff\xd8" + b"\xff\xda\xff\xd9", True),
        (".jpg", b"\xff\xd8" + b"\xff\xda\xff", False),
        (".jpg", b"\xff\xd8", False),
        (".png", b"\x89PNG" + b"IEND\xaeB`\x82", True),
        (".png", b"\x89PNG" + b"IEND\xaeB`", False),
        (".gif", b"GIF89a;", True),
        (".gif", b"GIF89a;" + bytes(15), True),
        (".gif", b"GIF89a;" + bytes(16), False),
        (".gif", b"GIF89a", False),
        (".webp", b"RIFF\x04\0\0\0WEBP", True),
        (".webp", b"RIFF\x03\0\0\0WEBP", True),
        (".webp", b"RIFF\x05\0\0\0WEBP", False),
        (".tif", b"II*\0", True),
        (".heic", box(b"ftyp", b"heic") + box(b"mdat", b"x"), True),
        (".heic", box(b"ftyp", b"heic") + box(b"mdat", b"x")[:-1], False),
        (".heic", box(b"ftyp", b"heic") + box(b"free"), True),
        (".heic", box(b"ftyp", b"heic") + box(b"free")[:-1], False),
        (".heic", box(b"ftyp", b"heic") + box(b"mdat", b"x", length=0), True),  # to the end of the file
        (".heic", box(b"ftyp", b"heic") + box(b"mdat", (17).to_bytes(8, "big") + b"x", length=1), True),
        (".heic", box(b"ftyp", b"heic") + box(b"mdat", (18).to_bytes(8, "big") + b"x", length=1), False),
        (".heic", box(b"ftyp", b"heic") + box(b"mdat", b"x", length=7), False),
        (".heic", box(b"free") * 9_999, True),
        (".heic", box(b"free") * 10_001, False),
    ],
)
def test_is_complete_file__by_the_end_that_the_format_requires(tmp_path, suffix, data, complete):
    (tmp_path / "file").write_bytes(data)
    assert is_complete_file(tmp_path / "file", suffix) is complete
