"""Where faces are in a picture, and how they are cut out.

Here: detectors, landmarks, head pose, alignment, how good a face's picture is. Never torch.
Not here: what a face shows (``expression``), nor which face it was before (``tracking``).
"""
