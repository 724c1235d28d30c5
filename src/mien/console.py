"""What a person at a terminal sees beside the results: progress, on stderr."""

from __future__ import annotations

import json
import sys
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class TrainingBar:
    """A bar per epoch on a terminal; a JSON line per epoch on stderr where there is none."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} loss {task.fields[loss]:.4f}"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task("train", epoch=0, loss=0.0, total=None)

    def __enter__(self) -> TrainingBar:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        self.bar.update(self.task, completed=step + 1, total=steps, epoch=epoch, loss=loss)

    def epoch(self, record: dict[str, Any]) -> None:
        if not self.console.is_terminal:
            print(json.dumps(record), file=sys.stderr, flush=True)
            return
        s = record["select"]
        self.console.print(
            f"epoch {record['epoch']:3d}  loss {record['loss']:.4f}  accuracy {s['accuracy']:.4f}  "
            f"balanced {s['balanced_accuracy']:.4f}  {record['images_per_s']:.0f} pictures/s"
        )
