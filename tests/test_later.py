"""Values made in the background."""

from __future__ import annotations

import threading

import pytest

from mien.errors import ModelError
from mien.later import Later


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
