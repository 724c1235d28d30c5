"""Labelled pictures: the table, where it comes from, and what is done to it.

Here: one adapter per data set, splits and folds, copies, cuts, occlusions, audits, made-up scenes.
Not here: what is learnt from a table (``training``), nor how a model does on it (``evaluation``).
"""
