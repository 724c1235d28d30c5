"""The same face over time.

Here: which face in this frame is which of the frame before, and answers smoothed along it.
Not here: who somebody is; nobody is recognised.
"""
