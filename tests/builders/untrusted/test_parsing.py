"""On Pythons where two threads that parse at once may fail, one parses at a time, whichever library parses."""

from __future__ import annotations

import ast
import inspect
import os
import sys
import threading
import time
from typing import Any

import pytest

from builders.untrusted import parse_in_turn, parsing


@pytest.fixture
def most_at_once(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many threads were in ``ast.parse`` at once, at each call."""
    inside: set[int] = set()
    seen: list[int] = []
    parse = ast.parse

    def slow(*given: Any, **named: Any) -> Any:
        inside.add(threading.get_ident())
        time.sleep(0.01)
        seen.append(len(inside))
        inside.discard(threading.get_ident())
        return parse("(1, 2)", mode="eval")

    monkeypatch.setattr(ast, "parse", slow)
    return seen


def in_threads() -> None:
    threads = [threading.Thread(target=ast.literal_eval, args=("(1, 2)",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("needed", [True, False])
def test_parse_in_turn__one_thread_at_a_time_where_python_needs_it(
    needed: bool, most_at_once: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parsing, "FAILS_IN_THREADS", needed)
    inspect.unwrap(parse_in_turn)()
    in_threads()
    assert len(most_at_once) == 4
    assert (max(most_at_once) == 1) == needed


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="from 3.12 on Python warns of a fork beside threads")
def test_parse_in_turn__a_process_forked_while_a_thread_parses_can_parse(
    most_at_once: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parsing, "FAILS_IN_THREADS", True)
    inspect.unwrap(parse_in_turn)()
    busy = [threading.Thread(target=in_threads) for _ in range(2)]
    for thread in busy:
        thread.start()
    child = os.fork()
    if not child:
        turns = threading.Thread(target=ast.literal_eval, args=("(1, 2)",), daemon=True)
        turns.start()
        turns.join(10)
        os._exit(turns.is_alive())
    for thread in busy:
        thread.join()
    assert os.waitpid(child, 0)[1] == 0
