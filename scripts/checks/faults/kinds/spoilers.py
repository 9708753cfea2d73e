"""Ways to spoil a file: other bytes, another structure, no file at all, a forged result, hostile answers."""

from __future__ import annotations

import json
import os
import random
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from scripts.checks.faults.mutations import VALUES, flipped, forgeries, hostile_answers, spoil


def damage(file: Path, random_: random.Random) -> None:
    """Bytes of a file are flipped, cut off, overwritten, doubled or another's."""
    data = file.read_bytes() or b"\0"
    how = random_.randrange(7)
    at, length = random_.randrange(len(data)), random_.choice((1, 16, 512, 4096))
    if how <= 1:
        for _ in range(random_.choice((1, 1, 4, 64))):
            data = flipped(data, random_)
    elif how == 2:
        data = data[:at]
    elif how == 3:
        data = data[:at] + bytes(length) + data[at + length :]
    elif how == 4:
        data = data[:at] + data[at : at + length] * 2 + data[at + length :]
    elif how == 5:
        data = data[:at] + random_.randbytes(length) + data[at + length :]
    else:
        others = (b"", b"{}", b"[]", b"null", b"PK\x03\x04", b"\xff\xd8\xff", bytes(64), b"SQLite format 3" + bytes(85))
        data = random_.choice((*others, b"\xef\xbb\xbf" + data, data.replace(b"\n", b"\r\n"), data * 3))
    file.write_bytes(data)


def restructure(file: Path, random_: random.Random) -> None:
    """The structure of a text is changed: values of JSON, words of other texts."""
    if file.suffix == ".json":
        raw = json.loads(file.read_text())
        spoil(raw, random_)
        file.write_bytes(json.dumps(raw, ensure_ascii=random_.random() < 0.5).encode("utf-8", "surrogatepass"))
        return
    if file.suffix == ".sqlite":
        _change_cells(file, random_)
        return
    lines = file.read_text().splitlines()
    for _ in range(random_.choice((1, 1, 2, 4))):
        at = random_.randrange(len(lines))
        words = re.split(r"([\s,=\[\]{}:]+)", lines[at])
        word = random_.randrange(len(words))
        how = random_.randrange(6)
        if how <= 2:
            value = random_.choice(VALUES)
            words[word] = json.dumps(value) if random_.random() < 0.5 and not _huge(value) else str(value)[:20_000]
            lines[at] = "".join(words)
        elif how == 3:
            lines.insert(random_.randrange(len(lines)), lines[at])
        elif how == 4 and len(lines) > 1:
            del lines[at]
        else:
            lines[at] = random_.choice(_LINES)
    file.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))


def _change_cells(file: Path, random_: random.Random) -> None:
    """Cells of a database have values of other kinds, as a program with other rules would have written them."""
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("PRAGMA ignore_check_constraints = ON")
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        filled = [name for name in tables if db.execute(f'SELECT 1 FROM "{name}"').fetchone()]
        for _ in range(random_.choice((1, 1, 2, 4))):
            table = random_.choice(filled)
            column = random_.choice([row[1] for row in db.execute(f'PRAGMA table_info("{table}")')])
            number = random_.choice([row[0] for row in db.execute(f'SELECT rowid FROM "{table}"')] or [0])
            value = random_.choice(_CELLS)
            with suppress(sqlite3.IntegrityError):  # a rule of the table forbids this one
                db.execute(f'UPDATE "{table}" SET "{column}" = {value} WHERE rowid = {number}')


_CELLS: Sequence[str] = (
    "NULL", "''", "0", "-1", "9223372036854775807", "-9223372036854775808", "1e308", "-1e308", "1e999", "0.5", "'x'",
    "CAST(X'ff' AS TEXT)", "CAST(X'5b5d00' AS TEXT)", "X'00ff'", "zeroblob(100000)", "'[]'", "'{}'", "'null'",
    "'[[1]]'", "'{\"o\": 1}'", "'{\"o\": [\"file:///etc/passwd\", 1, 1]}'", "'../../../etc/passwd'", "'/etc/passwd'",
    "char(27) || '[31m'", "printf('%.20000c', 'a')", "'2019-02-30 99:99:99'", "'NaN'",
)  # fmt: skip


def _huge(value: Any) -> bool:
    return isinstance(value, int) and abs(value) > 2**64


_LINES: Sequence[str] = (
    "x = 1", "= 1", "[[processing]]", "[a.b]\nc = 1", "&a [*a, *a]", "a: &b [*b]",
    "!!python/object/apply:os.getcwd []",
    '"""', "'", ",,,,,,", '"a\nb",c', "../../etc/passwd,cat,a,train", "/etc/passwd,cat,a,val",
    "\x00", "\x1b[31m,\u202e,a",
    "name = 'a\\u001b[2J'", "steps = []", "steps = [{step = 'resize', width = 1000000000}]", "batch-size = -1",
    "limit = 0", "seed = 1e400", "model = []", "tasks = ['*']", "memory = '1'", "output = '/proc/x'", "# \ud800",
    "builders.cli:main", "os:getcwd", "antigravity:fly", "timm/no_such_network", "a" * 5000,
    "classes = {a = 'a', a = 'b'}",
)  # fmt: skip


def replace_by_object(file: Path, random_: random.Random) -> None:
    """In the place of a file is what is no file, or one without end."""
    how = random_.randrange(8)
    data = file.read_bytes()
    file.unlink()
    if how == 0:
        os.mkfifo(file)
    elif how in (1, 2, 3, 4):
        file.symlink_to(("/dev/zero", "/etc/passwd", "nowhere", file.name)[how - 1])
    elif how == 5:
        file.mkdir()
    elif how == 6:
        with open(file, "wb") as stream:
            stream.truncate(5 << 30)
    else:
        file.with_name(os.fsdecode(b"\xff\xfe\x1b[31m") + file.suffix).write_bytes(data)


def forge(file: Path, random_: random.Random) -> None:
    file.write_bytes(random_.choice(list(forgeries()))[1])


def answer_otherwise(file: Path, random_: random.Random) -> None:
    file.write_bytes(hostile_answers(random_)[1])


SPOILERS: Mapping[str, Callable[[Path, random.Random], object]] = {
    "damaged": damage,
    "changed structure": restructure,
    "no file": replace_by_object,
}
