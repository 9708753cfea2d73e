"""Where what an error says becomes text: one line, readable, short, whatever library or stranger wrote it."""

from __future__ import annotations

import re

from builders.errors import CamtraceError
from builders.outside.names import readable

MOST = 300
"""Characters of what an error of others says. Of an architecture that it does not know transformers 5.24 says 221 and
its name in one sentence; what is longer lists what a library knows, or holds what stands in a file."""

_SECRET = re.compile(
    r"(?<=\bBearer )[^\s'\"]+"  # httpx and h11 repeat a header that they refuse
    r"|\bhf_[A-Za-z0-9]{20,}"
    r"|(?<=://)[^\s/@'\"]+(?=@)"  # name and password in an address
)
_QUERY = re.compile(r"(://[^\s'\"?]*\?)[^\s'\"<>)]+")
"""Of an address: signatures of a store, keys of an API."""


def readable_line(error: BaseException, most: int = MOST) -> str:
    r"""The first line of what an error says, or its kind where it says nothing; at most so many characters.

    >>> readable_line(ValueError("no\x1b\nat the end")), readable_line(KeyError()), readable_line(OSError("abcdef"), 5)
    ('no\\x1b', 'KeyError', 'ab...')

    Tokens, passwords and the query of an address are left out: reasons are kept in results, and published.

    >>> readable_line(OSError("403 for url 'https://a.org/b?X-Amz-Signature=5f1'"))
    "403 for url 'https://a.org/b?...'"
    """
    text = f"it called sys.exit({error.code!r})" if isinstance(error, SystemExit) else str(error).strip()
    return _short((text.splitlines() or [type(error).__name__])[0], most)


def joined_lines(error: BaseException, most: int = MOST) -> str:
    r"""All lines of what an error says as one, as ``readable_line``: some libraries say below the first what is wrong.

    >>> joined_lines(RuntimeError("Error(s) in loading:\n\tMissing key(s): \"fc.bias\"")), joined_lines(KeyError())
    ('Error(s) in loading: Missing key(s): "fc.bias"', 'KeyError')
    """
    return _short(" ".join(str(error).split()) or type(error).__name__, most)


def kind_and_line(error: BaseException) -> str:
    """The kind of an error that is none of ours, and the first line of what it says. Code that calls ``sys.exit`` says
    that it does.

    >>> kind_and_line(ValueError("no luck\\nat all")), kind_and_line(KeyError()), kind_and_line(SystemExit(0))
    ('ValueError: no luck', 'KeyError: no message', 'it called sys.exit(0)')
    """
    if isinstance(error, SystemExit):
        return readable_line(error)
    said = readable_line(error) if str(error).strip() else "no message"
    return f"{type(error).__name__}: {said}"


def sentence(error: BaseException) -> str:
    """An error in one line: the sentence of one of ours, kind and first line of any other.

    >>> from builders.errors import DataError
    >>> sentence(DataError("no photo in it")), sentence(OSError())
    ('no photo in it', 'OSError: no message')
    """
    return str(error) if isinstance(error, CamtraceError) else kind_and_line(error)


def _short(line: str, most: int) -> str:
    public = _QUERY.sub(r"\1...", _SECRET.sub("...", line[: 16 * most]))
    text = readable(public[: most + 1])  # escaped it is longer
    return text if len(text) <= most else f"{text[: most - 3]}..."
