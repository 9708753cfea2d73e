"""Where what an error says becomes text: one line, readable, whatever library or stranger wrote it."""

from __future__ import annotations

from builders.errors import CamtraceError
from builders.outside.names import readable


def readable_line(error: BaseException, most: int | None = None) -> str:
    r"""The first line of what an error says, or its kind where it says nothing; cut to so many characters.

    >>> readable_line(ValueError("no\x1b\nat the end")), readable_line(KeyError()), readable_line(OSError("abc"), 2)
    ('no\\x1b', 'KeyError', 'ab')
    """
    text = f"it called sys.exit({error.code!r})" if isinstance(error, SystemExit) else str(error).strip()
    return readable((text.splitlines() or [type(error).__name__])[0][:most])


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
