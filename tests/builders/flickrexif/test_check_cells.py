"""A state is checked where it is opened: every column of every table with values that do not belong there."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from builders.errors import DataError
from builders.flickrexif.api.exif_answers import loads
from builders.flickrexif.api.stored_json import stored_addresses, stored_texts
from builders.flickrexif.store.store import State

GOOD = {"INTEGER": "7", "REAL": "7.5", "TEXT": "'a'", "BLOB": "X'00'"}
BAD = {"INTEGER": ("'x'", "0.5", "X'00'"), "REAL": ("'x'", "X'00'"), "TEXT": ("X'00'",), "BLOB": ("'x'", "7")}
TIMES = {
    *("calls.at", "files.at", "tombstones.at", "photos.uploaded", "photos.licence_checked", "photos.exif_checked"),
    *("slices.start", "slices.end", "slices.doubted", "strata.start", "strata.end", "strata.doubted"),
}


def good_value(table, column, kind):
    return "'4,11'" if (table, column) == ("slices", "licences") else GOOD[kind]


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A state with one row in each table; bytes of its file, and (table, column, type, is key, may be empty) of each
    column."""
    folder = tmp_path_factory.mktemp("state")
    State(folder, create=True).close()
    columns = []
    with closing(sqlite3.connect(folder / "state.sqlite")) as db, db:
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            info = db.execute(f"PRAGMA table_info({table})").fetchall()
            columns += [(table, row[1], row[2], bool(row[5]), not row[3] and not row[5]) for row in info]
            values = "'\"a\"'" if table == "settings" else None
            cells = [values if values and row[1] == "value" else good_value(table, row[1], row[2]) for row in info]
            db.execute(f"INSERT INTO {table} VALUES ({', '.join(cells)})")
    return (folder / "state.sqlite").read_bytes(), columns


def opened(folder, data, sql):
    """What the state says that a statement has changed before it was opened: None if it takes it."""
    (folder / "state.sqlite").write_bytes(data)
    with closing(sqlite3.connect(folder / "state.sqlite")) as db:
        try:
            with db:
                db.execute(sql)
        except sqlite3.DatabaseError:  # SQLite itself refuses the value
            return "SQLite"
    try:
        State(folder).close()
    except DataError as error:
        return str(error)
    return None


@pytest.mark.slow
def test_state__each_column_takes_values_of_its_kind_alone(tmp_path, filled):
    data, columns = filled
    assert len(columns) > 60
    for table, column, kind, key, may_be_empty in columns:
        for value in (good_value(table, column, kind), *(("NULL",) if may_be_empty else ())):
            value = "'\"a\"'" if (table, column) == ("settings", "value") else value
            assert opened(tmp_path, data, f'UPDATE {table} SET "{column}" = {value}') is None, (table, column, value)
        refused = [*BAD[kind], *(("-1", "253402300800", "9e999") if f"{table}.{column}" in TIMES else ())]
        for value in refused:
            message = opened(tmp_path, data, f'UPDATE {table} SET "{column}" = {value}')
            if message == "SQLite":
                assert key, (table, column, value)
                continue
            assert message is not None, (table, column, value)
            assert "state.sqlite" in message, message
            assert f"{table}" in message


@pytest.mark.slow
def test_state__no_text_has_control_characters_but_those_that_people_wrote(tmp_path, filled):
    data, columns = filled
    free = {"photos.owner_name", "photos.title", "photos.exif_error", "files.error", "looks.reason"}
    for table, column, kind, key, _ in columns:
        if kind != "TEXT" or (table, column) == ("settings", "value"):
            continue
        for code in (1, 27, 31, 127, 159):
            message = opened(tmp_path, data, f"UPDATE {table} SET \"{column}\" = 'a' || char({code}) || '[31m'")
            assert (message is None) == (f"{table}.{column}" in free), (table, column, code, key)
        for code in (32, 126, 160, 0x1F600):
            if (table, column) != ("slices", "licences"):
                assert opened(tmp_path, data, f'UPDATE {table} SET "{column}" = char({code})') is None


@pytest.mark.parametrize(
    ("table", "column", "good", "bad"),
    [
        ("slices", "licences", ("4", "4,5", "11,12,4"), ("", "4,", ",4", "4,,5", "a", "4 5", "-4", "4.5")),
        ("looks", "width", (0, 2**31 - 1), (-1, 2**31)),
        ("looks", "height", (0, 2**31 - 1), (-1, 2**31)),
    ],
)
def test_state__numbers_that_later_steps_read(tmp_path, filled, table, column, good, bad):
    """Licences of a slice are a list of whole numbers; a side of a picture has 31 bits in a data set."""
    for value in good:
        assert opened(tmp_path, filled[0], f"UPDATE {table} SET {column} = {value!r}") is None, value
    for value in bad:
        assert f"of table {table} has" in opened(tmp_path, filled[0], f"UPDATE {table} SET {column} = {value!r}"), value


def test_state__tables_and_columns_that_are_gone(tmp_path, filled):
    message = opened(tmp_path, filled[0], "ALTER TABLE looks RENAME COLUMN reason TO season")
    assert "damaged" in message
    message = opened(tmp_path, filled[0], "DROP TABLE calls")
    assert "damaged" in message


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("photos_wanted", ["null", "12"], ["1.5", "true", '"12"']),
        ("calls_per_hour", ["null", "3600", "1.5"], ["1", "0.5", "0", "-1", "Infinity", "NaN", '"a"']),
        ("with_exif", ["true", "false"], ["1", "null"]),
        ("built", ["[]", '["/a"]'], ["null", "[1]", '"/a"']),
        ("imported_from", ["[]", '["a/b"]'], ["{}", "[null]"]),
        ("fetches by ranks", ["[]", '["p"]'], ["1", "[[]]"]),
        ("fill make: Kodak 1 2", ["[9, 3, 2, 0]"], ["[9, 3, 2]", "[9, 3, 2, null]", "[9, 3, 2, 0.5]", "9"]),
        ("seed", ["1", '"anything"', "null"], []),
    ],
)
def test_state__settings(tmp_path, filled, key, good, bad):
    statement = "INSERT INTO settings VALUES ('{}', '{}')"
    for value in good:
        assert opened(tmp_path, filled[0], statement.format(key, value)) is None
    for value in bad:
        message = opened(tmp_path, filled[0], statement.format(key, value))
        assert f"{key}" in message, value


def test_state__text_that_is_not_utf_8(tmp_path, filled):
    for column in ("title", "urls"):
        assert opened(tmp_path, filled[0], f"UPDATE photos SET {column} = CAST(X'61ff62' AS TEXT)") is None
        with State(tmp_path) as state:
            for read in (state.rows, state.value, lambda sql: list(state.stream(sql))):
                with pytest.raises(DataError, match=r"state\.sqlite"):
                    read(f"SELECT {column} FROM photos")


@pytest.mark.parametrize("relative", ["/etc/passwd", "../x", "files/../../x", "files/00/.."])
def test_state__no_path_leads_out_of_its_folder(tmp_path, relative):
    with State(tmp_path, create=True) as state:
        assert state.path_of("files/34/12/51234_o.jpg") == tmp_path / "files/34/12/51234_o.jpg"
        with pytest.raises(DataError):
            state.path_of(relative)


@pytest.mark.parametrize(
    ("read", "good", "bad"),
    [
        (
            stored_addresses,
            {"{}": {}, '{"o": ["u", 4, 3]}': {"o": ("u", 4, 3)}},
            ["[]", '{"o": 1}', '{"o": ["u", 4]}', '{"o": ["u", 4, 3, 2]}', '{"o": [1, 4, 3]}', '{"o": ["u", 4.5, 3]}',
             '{"o": ["u", 4, null]}', '{"o": ["u", true, 3]}'],
        ),
        (stored_texts, {'{"Make": "Canon"}': {"Make": "Canon"}}, ["[]", '{"Make": 1}', '{"Make": null}', "1"]),
        (
            loads,
            {"[]": {}, '[["IFD0", "Make", "Canon"]]': {("IFD0", "Make"): "Canon"}},
            ["{}", "1", '["abc"]', '[["IFD0", "Make"]]', '[["IFD0", "Make", 1]]', '[["IFD0", null, "a"]]'],
        ),
    ],
)  # fmt: skip
def test_stored_texts__of_another_form_mean_a_damaged_state(read, good, bad):
    for text, value in good.items():
        assert read(text) == value
    for text in bad:
        with pytest.raises(DataError):
            read(text)
