"""The stages in order: one picture, a folder of them, a recording, a camera.

Here: ``Analyzer``, many pictures on many processes, going on after a kill, the live loop.
Not here: the stages themselves, and what a terminal shows of them (``app``). Never torch.
"""
