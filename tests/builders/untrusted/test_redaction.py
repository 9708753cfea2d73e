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
