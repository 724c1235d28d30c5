"""Alarms: rules over what faces show, and outputs that tell people; tried again, never lost.

Here: rules, what they make of frames over time, where alarms go, and the journal of it all.
Not here: how faces are read; what is seen comes in as faces or as records.

>>> from mien import alarms
>>> rules = alarms.read("rules.toml")  # doctest: +SKIP
>>> with alarms.Runner(rules) as runner:  # doctest: +SKIP
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
