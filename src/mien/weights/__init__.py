"""Files of networks: which there are, whose they are, and what opens them.

Here: the catalogue, sessions of ONNX Runtime, graphs taken apart, other makers' formats.
Not here: what a network answers (``faces``, ``expression``), nor how it is trained.
"""
