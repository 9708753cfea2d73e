"""No secret is printed, logged or stored, whatever library says it."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import pytest

from builders.untrusted import public_text, redacted, redacted_logs

PLANTED = "p1antedS3cret"


@pytest.mark.parametrize(
    "text",
    [
        f"https://me:{PLANTED}@hub.example/api",
        f"https://hub.example/api?token={PLANTED}",
        f"Authorization: Bearer {PLANTED}",
        f"https://hub.example/a?x=1&X-Amz-Signature={PLANTED}",
        f"api_key={PLANTED}&api_sig={PLANTED}",
        f"Cookie: {PLANTED}",
        "hf_" + "a" * 30,
    ],
)
def test_redacted__secrets_of_every_form(text):
    public = redacted(text)
    assert PLANTED not in public
    assert "a" * 30 not in public
    assert "..." in public


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HF_TOKEN", PLANTED),
        ("HUGGING_FACE_HUB_TOKEN", PLANTED),
        ("FLICKR_API_KEY", PLANTED),
        ("FLICKR_API_SECRET", PLANTED),
        ("AWS_SECRET_ACCESS_KEY", PLANTED),
        ("AWS_ACCESS_KEY_ID", PLANTED),
        ("AWS_SESSION_TOKEN", PLANTED),
        ("MY_PASSWORD", PLANTED),
        ("HTTPS_PROXY", f"http://me:{PLANTED}@proxy.example:3128"),
        ("https_proxy", f"me:{PLANTED}@proxy.example"),
        ("HF_ENDPOINT", f"https://hub.example?key={PLANTED}"),
        ("PIP_INDEX_URL", f"https://me:{PLANTED}@index.example/simple"),
    ],
)
def test_redacted__values_of_variables_wherever_they_stand(name, value, monkeypatch):
    assert PLANTED in redacted(f"a library says {PLANTED} here")
    monkeypatch.setenv(name, value)
    assert redacted(f"a library says {PLANTED} here") == "a library says ... here"


def test_redacted__paths_short_values_and_ordinary_text_stay(monkeypatch):
    monkeypatch.setenv("GOOGLE_CREDENTIALS", "/home/me/credentials.json")
    monkeypatch.setenv("MY_TOKEN", "photo")
    text = "/home/me/credentials.json: a photo of folder:PATH?label=site cannot be read; see https://a.org/b"
    assert public_text(text) == text


def test_redacted_logs__lines_warnings_and_errors_of_libraries(caplog, capsys):
    before = logging.getLogRecordFactory()
    with redacted_logs():
        logging.getLogger("huggingface_hub").warning("retry of %s", f"https://me:{PLANTED}@hub.example/?t={PLANTED}")
        try:
            raise OSError(f"https://me:{PLANTED}@hub.example")
        except OSError:
            logging.getLogger("a").exception("failed")
        line = warnings.formatwarning(f"token={PLANTED}", UserWarning, "a.py", 1)
    assert caplog.messages == ["retry of https://...@hub.example/?...", "failed"]
    assert PLANTED not in caplog.text + line
    assert "OSError: https://...@hub.example" in caplog.text
    assert logging.getLogRecordFactory() is before


def test_redacted__an_address_that_was_taken_for_a_path():
    """``Path`` writes one slash for two."""
    text = str(Path("https://me:secret-word@a.org/b?sig=0123456789"))
    assert text == "https:/me:secret-word@a.org/b?sig=0123456789"
    assert redacted(f"{text}: no folder") == "https:/...@a.org/b?... no folder"
    assert redacted("in /a:/b and C:/me@x") == "in /a:/b and C:/me@x"


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("Bearer abc, x", "Bearer ... x"), ("a Bearer 'abc'", "a Bearer 'abc'"), ("aBearer abc", "aBearer abc"),
        ("Basic dXNlcjpwdw==", "Basic ..."), ("Basic dXNlcj=", "Basic dXNlcj="),
        ("Basic words of text", "Basic words of text"),
        ("hf_" + "a" * 20, "..."), ("hf_" + "a" * 19, "hf_" + "a" * 19), ("xhf_" + "a" * 20, "xhf_" + "a" * 20),
        ("https://me:pw@a.org/b", "https://...@a.org/b"), ("s3://me@b/x", "s3://...@b/x"),
        ("s3:/me:pw@b/x", "s3:/...@b/x"),
        ("a:/me@b", "a:/me@b"), ("TOKEN=abc&x=1", "TOKEN=...&x=1"), ("my_token=abc", "my_token=abc"),
        *((f"{name}abc&x=1", f"{name}...&x=1") for name in ("password=", "passwd=", "secret=", "api_key=", "api_sig=",
                                                            "Signature=", "Cookie: ", "X-API-Key: ")),
        ("https://a.org/b?x=1&y=2 z", "https://a.org/b?... z"), ("'https://a.org/b?x=1'", "'https://a.org/b?...'"),
        ("<https://a.org/b?x=1>", "<https://a.org/b?...>"), ("s3:/b/x?y=1", "s3:/b/x?..."), ("hf:/b?y=1", "hf:/b?..."),
        ("GS:/b?y=1", "GS:/b?..."), ("folder:/b?y=1", "folder:/b?y=1"), ("https://a.org/b?", "https://a.org/b?"),
    ],
)  # fmt: skip
def test_redacted__each_form_and_its_neighbours(text, public):
    assert redacted(text) == public


@pytest.mark.parametrize(
    ("name", "value", "text", "public"),
    [
        ("MY_TOKEN", "12345678", "a 12345678 b", "a ... b"), ("MY_TOKEN", "1234567", "a 1234567 b", "a 1234567 b"),
        ("MY_TOKEN", "12 45/78", "12 45/78 12%2045%2F78", "... ..."), ("MY_TOKEN", "12%2045%2F78", "12 45/78", "..."),
        ("MY_TOKENS", "12345678", "12345678", "12345678"), ("my_secret_id", "12345678", "12345678", "..."),
        ("ACCESS_KEY", "12345678", "12345678", "..."), ("FLICKR_ANY", "12345678", "12345678", "..."),
        ("MY_CREDENTIAL", "12345678", "12345678", "..."), ("MY_APIKEY", "12345678", "12345678", "..."),
        ("MY_TOKEN", "~/1234567", "~/1234567", "~/1234567"), ("MY_TOKEN", "./1234567", "./1234567", "./1234567"),
        ("MY_URL", "https://a/b?key=12345678&n=1", "12345678 key=12345678&n=1", "... ..."),
        ("MY_URI", "https://me:12345678@a/b", "12345678", "..."),
        ("MY_URL", "https://a/12345678", "12345678", "12345678"),
        ("MY_URLS", "https://me:12345678@a/b", "12345678", "12345678"),
    ],
)  # fmt: skip
def test_redacted__each_variable_and_its_neighbours(monkeypatch, name, value, text, public):
    monkeypatch.setenv(name, value)
    assert redacted(text) == public


def test_redacted__a_secret_that_is_a_part_of_another_hides_neither(monkeypatch):
    """The shorter one first would leave the rest of the longer ones, in the order of a set."""
    longer = [f"1234567{'89abcdefghij'[: i + 1]}" for i in range(12)]
    for i, secret in enumerate(longer):
        monkeypatch.setenv(f"MY{i}_TOKEN", secret)
    assert redacted(" ".join(longer)) == " ".join(["..."] * 12)
