"""One output's thread: it takes calls in order, and tries again until it has to give up."""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count

from .output import Output, Undelivered
from .watch import Call

log = logging.getLogger(__name__)

LIMIT = 100
"""Calls that may wait for one output; more are undelivered at once."""
_FIRST_S, _LONGEST_S = 0.5, 10.0

Report = Callable[[str, Call, str | None], None]
"""Output's name, call, and why it has not arrived; None where it has."""


def pause_s(tries: int) -> float:
    """Seconds to wait after so many failed tries: twice as long each time, but for chance.

    Half of it is chance, so that many who fail at the same time do not come back at the same time.
    """
    longest = min(_FIRST_S * 2.0 ** (tries - 1), _LONGEST_S)
    return random.uniform(longest / 2, longest)


class Courier:
    """Brings calls to one output.

    report : told once per call how it ended, in the courier's thread.
    trouble : told once per call why the first try failed, where there will be others.
    """

    def __init__(
        self, name: str, output: Output, report: Report, trouble: Callable[[str, Call, str], None]
    ) -> None:
        self.name, self.output = name, output
        self._report, self._trouble = report, trouble
        self._calls: queue.Queue[tuple[Call, float] | None] = queue.Queue(LIMIT)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"mien-{name}", daemon=True)
        self._thread.start()

    def put(self, call: Call) -> None:
        """Take a call; never waits. It gives up ``give_up_s`` from now, wherever it stands then."""
        try:
            self._calls.put_nowait((call, time.monotonic() + self.output.give_up_s))
        except queue.Full:
            self._report(self.name, call, f"{LIMIT} alarms are waiting already")

    def close(self, patience_s: float) -> None:
        """End the thread; what has not arrived by then is not reported, and stays in the journal.

        patience_s : for what is waiting.
        """
        ends = time.monotonic() + patience_s
        while self._calls.unfinished_tasks and time.monotonic() < ends:
            time.sleep(0.02)
        self._closing.set()
        with suppress(queue.Full):  # then it is looked at before the next call
            self._calls.put_nowait(None)
        self._thread.join(max(0.0, ends - time.monotonic()) + 0.2)

    @property
    def is_idle(self) -> bool:
        return not self._calls.unfinished_tasks

    def _run(self) -> None:
        while not self._closing.is_set():
            entry = self._calls.get()
            if entry is not None:
                self._bring(*entry)
            self._calls.task_done()

    def _bring(self, call: Call, until: float) -> None:
        reason = "it waited too long behind others"
        for tries in count(1):
            if tries > 1 and time.monotonic() >= until:
                break
            failure = self._try(call)
            if failure is None:
                self._report(self.name, call, None)
                return
            reason = str(failure)
            wait = max(pause_s(tries), failure.after_s)
            if not failure.again or time.monotonic() + wait > until:
                break
            if tries == 1:
                self._trouble(self.name, call, reason)
            if self._closing.wait(wait):
                return
        self._report(self.name, call, reason)

    def _try(self, call: Call) -> Undelivered | None:
        try:
            self.output.deliver(call)
        except Undelivered as err:
            log.info("%s: %s: %s", self.name, call.id, err)
            return err
        except Exception as err:  # a fault in a library must not end the alarms
            log.info("%s: %s", self.name, call.id, exc_info=True)
            return Undelivered(f"{type(err).__name__}: {err}")
        return None
