"""Alarms carried out: what a rule calls is told, tried again, written down, and never lost.

>>> from mien import actions
>>> rules = actions.read("rules.toml")  # doctest: +SKIP
>>> with actions.Runner(rules) as runner:  # doctest: +SKIP
...     for frame in camera:
...         faces = analyzer.analyze_frame(frame)
...         runner.see(faces)  # comes back at once
...         show(frame, faces, runner.messages())
"""

from __future__ import annotations

from .output import Output, Undelivered, outputs
from .runner import Runner, build, read

__all__ = ["Output", "Runner", "Undelivered", "build", "outputs", "read"]
