"""The one redaction of everything that is printed, logged or stored: tokens, passwords, and queries of addresses.

Two rules find a secret: its form (``user:password@``, ``Bearer ...``, ``token=...``), and its value, where a variable
of the environment holds it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from builders.files import SERVERS

LEAST_SECRET = 8
"""Characters from which the value of a variable is taken for a secret. A shorter one is part of ordinary words."""

_FORMS = re.compile(
    r"(?<=\bBearer )[^\s'\"]+"  # httpx and h11 repeat a header that they refuse
    r"|(?<=\bBasic )[A-Za-z0-9+/=]{8,}"
    r"|\bhf_[A-Za-z0-9]{20,}"
    r"|(?<=://)[^\s/@'\"]+(?=@)"  # name and password in an address
    r"|(?<=:/)[^\s/@:'\"]+:[^\s/@'\"]+(?=@)"  # in an address that was taken for a path, which has one slash
    r"|(?i:(?<=\btoken=)|(?<=\bpassword=)|(?<=\bpasswd=)|(?<=\bsecret=)|(?<=\bapi_key=)|(?<=\bapi_sig=)"
    r"|(?<=\bsignature=)|(?<=\bcookie: )|(?<=\bx-api-key: ))[^\s&'\"]+"
)

_QUERY = re.compile(rf"((?:://|\b(?:{SERVERS}|s3a?|gs|gcs|az|abfss?|hf):/)[^\s'\"?]*\?)[^\s'\"<>)]+", re.IGNORECASE)
"""Query of an address, or of one that was taken for a path: signatures of a store, keys of an API."""

_NAMED = re.compile(
    r"(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_KEY|ACCESS_KEY_ID|CREDENTIALS?)(?:$|_(?:ID|KEY)$)"
    r"|^FLICKR_",
    re.IGNORECASE,
)
"""Names of variables that hold a secret."""

_ADDRESSES = re.compile(r"(?:^|_)(?:PROXY|ENDPOINT|URL|URI|INDEX)$", re.IGNORECASE)
"""Names of variables that hold an address, which may have a password or a token in it."""


def redacted(text: str) -> str:
    """Text without its secrets.

    >>> redacted("403 for https://me:pw@a.org/b?X-Amz-Signature=5f1 with Bearer abc")
    '403 for https://...@a.org/b?... with Bearer ...'
    """
    public = _QUERY.sub(r"\1...", _FORMS.sub("...", text))
    for secret in sorted(_values(), key=len, reverse=True):  # one may be a part of another
        if secret in public:
            public = public.replace(secret, "...")
    return public


def _values() -> set[str]:
    """Secrets in the variables of the environment, as they are and as in an address."""
    secrets = set[str]()
    for name, value in os.environ.items():
        if _NAMED.search(name) and not value.startswith(("/", "~", ".")):  # a path to a file with it is none
            secrets.add(value)
        elif _ADDRESSES.search(name) and ("@" in value or "?" in value):
            with contextlib.suppress(ValueError):
                parts = urlsplit(value if "://" in value else f"//{value}")
                secrets |= {part for part in (parts.password, parts.query) if part}
                secrets |= {pair.partition("=")[2] for pair in parts.query.split("&")}
    secrets |= {unquote(value) for value in secrets} | {quote(value, safe="") for value in secrets}
    return {value for value in secrets if len(value) >= LEAST_SECRET}


@contextlib.contextmanager
def redacted_logs(*, command: bool = False) -> Iterator[None]:
    """A context in which log records and warnings of any library are redacted. Contexts may be nested.

    Args:
        command: from now on tracebacks that end the process, or a thread, are redacted, too.
    """
    factory, format_warning = logging.getLogRecordFactory(), warnings.formatwarning
    hook, thread_hook = sys.excepthook, threading.excepthook

    def make(*arguments: Any, **named: Any) -> logging.LogRecord:
        record = factory(*arguments, **named)
        with contextlib.suppress(Exception):  # arguments that do not fit the message: the handler reports it
            message = record.getMessage()
            if (public := redacted(message)) != message:
                record.msg, record.args = public, ()
            if record.exc_info and record.exc_info[0] is not None:
                record.exc_text = redacted("".join(traceback.format_exception(*record.exc_info))).rstrip()
        return record

    def print_error(kind: type[BaseException], error: BaseException | None, trace: Any) -> None:
        print(redacted("".join(traceback.format_exception(kind, error, trace))), end="", file=sys.stderr)

    logging.setLogRecordFactory(make)
    warnings.formatwarning = lambda *a, **named: redacted(format_warning(*a, **named))
    if command and hook is sys.__excepthook__:
        sys.excepthook = print_error
    if command and thread_hook is threading.__excepthook__:
        threading.excepthook = lambda args: print_error(args.exc_type, args.exc_value, args.exc_traceback)
    try:
        yield
    finally:
        logging.setLogRecordFactory(factory)
        warnings.formatwarning = format_warning
