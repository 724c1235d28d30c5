"""mien reads facial expressions from pictures, on your own machine.

An expression is not a determination of what a person feels.
"""

from __future__ import annotations

__version__ = "0.1.0"
