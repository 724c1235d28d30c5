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

import logging

from .output import Output, Undelivered, outputs
from .runner import Runner, build, read

__all__ = ["Output", "Runner", "Undelivered", "build", "outputs", "read"]

# What matters is shown; without this Python would print what paho logs on the way.
logging.getLogger(__name__).addHandler(logging.NullHandler())
