"""The process that reads the inputs: units in by its standard input, what came of them out."""

from __future__ import annotations

import os
import pickle
import queue
import sys
import threading
from typing import IO, Any

from ..errors import MienError
from .fetch import sweep


def main() -> None:
    """Work until whoever began this process is gone."""
    # What a library prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    told: queue.Queue[Any] = queue.Queue()
    request, expected, scratch = pickle.load(sys.stdin.buffer)
    args = sys.stdin.buffer, told, scratch
    threading.Thread(target=_listen, args=args, daemon=True).start()
    from .work import Worker

    worker: Worker | None = None
    while True:
        unit, aside, one_by_one = told.get()

        def begins(number: int) -> None:
            _say(answers, "begins", number)

        try:
            worker = worker or Worker(request, expected, scratch)
            outcome = worker.do(unit, aside, begins if one_by_one else None)
        except MienError as err:
            _say(answers, "failed", (type(err).__name__, str(err)))
        except Exception as err:
            # A fault of ours. It ends the process as a native one does, and its keeper hears why.
            _say(answers, "ended", f"{type(err).__name__}: {err}")
            os._exit(1)
        else:
            _say(answers, "done", outcome)


def _listen(stream: IO[bytes], told: queue.Queue[Any], scratch: str) -> None:
    """Pass on what is said; when nobody is there to say anything, nobody wants an answer."""
    while True:
        try:
            told.put(pickle.load(stream))
        except BaseException:
            sweep(scratch)
            os._exit(1)


def _say(answers: IO[bytes], kind: str, value: Any) -> None:
    pickle.dump((kind, value), answers)
    answers.flush()


if __name__ == "__main__":
    main()
