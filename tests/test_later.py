"""Values made in the background."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest

from mien import later
from mien.errors import ModelError, VideoError
from mien.later import Later, ahead, side_by_side


def test_the_caller_goes_on_meanwhile() -> None:
    go = threading.Event()
    later = Later(lambda: go.wait(60))
    go.set()  # not reached, were it made at once
    assert later.get() is True


def test_it_is_made_once() -> None:
    made: list[int] = []
    later = Later(lambda: made.append(threading.get_ident()))
    later.get()
    later.get()
    assert len(made) == 1
    assert made != [threading.get_ident()]


@pytest.mark.parametrize("error", [ModelError("damaged"), KeyboardInterrupt()], ids=repr)
def test_whoever_asks_is_told_what_went_wrong(error: BaseException) -> None:
    def fail() -> None:
        raise error

    later = Later(fail)
    for _ in range(2):
        with pytest.raises(type(error)) as told:
            later.get()
        assert told.value is error


# -- one after the other --------------------------------------------------------------------------


def test_ahead_gives_the_same_and_is_never_far_ahead() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(20):
            made.append(i)
            yield i

    for i in ahead(items()):
        assert len(made) <= i + 5
    assert made == list(range(20))


def test_ahead_passes_errors_on() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise VideoError("broken")

    found = ahead(items())
    assert next(found) == 1
    with pytest.raises(VideoError, match="broken"):
        next(found)


def test_ahead_hands_several_over_at_once_and_keeps_none_back() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(10):
            made.append(i)
            yield i
        raise VideoError("broken")

    found = ahead(items(), waiting=1, together=4)
    got = [next(found)]
    deadline = time.monotonic() + 20
    while len(made) < 10:  # four in use, four waiting, and those of the next hand
        assert time.monotonic() < deadline
        time.sleep(0.01)
    got += [next(found) for _ in range(9)]
    assert got == made
    with pytest.raises(VideoError, match="broken"):
        next(found)


def test_ahead_of_several_at_once_is_never_far_ahead() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(60):
            made.append(i)
            yield i

    for i in ahead(items(), waiting=1, together=4):
        assert len(made) <= i + 13
    assert made == list(range(60))


def test_closing_ahead_ends_its_thread() -> None:
    before = threading.active_count()
    found = ahead(itertools.count())
    next(found)
    found.close()
    assert threading.active_count() == before


# -- several at once ------------------------------------------------------------------------------


def test_side_by_side_keeps_the_order_whoever_is_ready_first() -> None:
    """The first waits for the second, and so on in pairs: one thread alone would never end."""
    done = [threading.Event() for _ in range(21)]

    def make(i: int) -> int:
        done[i].set()
        if i % 2 == 0:
            assert done[i + 1].wait(60)
        return 10 * i

    found = side_by_side(make, range(20), 2)
    assert list(found) == [10 * i for i in range(20)]


def test_side_by_side_is_never_far_ahead_and_keeps_nothing() -> None:
    class Made:
        pass

    alive: list[weakref.ref[Made]] = []

    def make(i: int) -> Made:
        made = Made()
        alive.append(weakref.ref(made))
        return made

    most = 0
    for made in side_by_side(make, range(40), 3):
        time.sleep(0.002)
        most = max(most, sum(one() is not None for one in alive))
        del made
    assert len(alive) == 40
    assert most <= 4  # one in use, three that are ready or being made


def test_side_by_side_passes_errors_on_in_their_turn() -> None:
    def make(i: int) -> int:
        if i == 2:
            raise VideoError("broken")
        return i

    found = side_by_side(make, itertools.count(), 2)
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(VideoError, match="broken"):
        next(found)


def test_side_by_side_passes_on_what_taking_an_item_raises() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ModelError("no more")

    found = side_by_side(str, items(), 2)
    assert next(found) == "1"
    with pytest.raises(ModelError, match="no more"):
        next(found)


@pytest.mark.parametrize("items", [(), (1,), range(7)])
def test_side_by_side_ends_with_its_items(items: Sequence[int]) -> None:
    before = threading.active_count()
    assert list(side_by_side(str, items, 3)) == [str(i) for i in items]
    assert threading.active_count() == before


def test_closing_side_by_side_ends_its_threads() -> None:
    before = threading.active_count()
    found = side_by_side(str, itertools.count(), 2)
    next(found)
    found.close()
    assert threading.active_count() == before


def test_closing_side_by_side_waits_a_second_at_most() -> None:
    go = threading.Event()

    def make(i: int) -> int:
        if i:
            go.wait(60)
        return i

    before = threading.active_count()
    found = side_by_side(make, itertools.count(), 2)
    assert next(found) == 0
    found.close()  # comes back
    assert threading.active_count() > before
    go.set()
    deadline = time.monotonic() + 20
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_side_by_side_may_be_closed_by_a_thread_of_its_own() -> None:
    """As where Python, in whichever thread it likes, throws away a circle that holds it."""
    taken, closed = threading.Event(), threading.Event()

    def make(i: int) -> int:
        if i == 1:
            taken.wait(60)
            found.close()
            closed.set()
        return i

    found = side_by_side(make, range(3), 1)
    assert next(found) == 0
    taken.set()
    assert closed.wait(60)


# -- at the end of a program ----------------------------------------------------------------------

_LEFT_OPEN = """
import itertools, os, time
from mien.later import ahead, side_by_side

def make(i):
    time.sleep(0.3 if i else 0)
    os.write(1, b"made ")
    return i

found = {found}
next(found)
"""


@pytest.mark.parametrize(
    "found", ["side_by_side(make, itertools.count(), 2)", "ahead(map(make, itertools.count()))"]
)
def test_what_is_being_made_as_a_program_ends_is_not_cut_off(found: str) -> None:
    program = _LEFT_OPEN.format(found=found)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"made") >= 2  # another was being made as the first was taken


def test_what_works_ahead_of_another_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The outer one first, or it would wait for what the inner one does not make any more."""
    monkeypatch.setattr(later, "_working", {})
    before = threading.active_count()

    def within() -> Iterator[int]:
        with closing(ahead(itertools.count())) as inner:
            yield from inner

    outer = ahead(within())
    next(outer)
    began = time.monotonic()
    later._end_all()
    assert time.monotonic() - began < later._LEAVING_S / 2
    assert threading.active_count() == before
    assert not later._working
