"""Papers done again: their experiments, and reports that put our figures beside theirs.

Here: ``mien reproduce``, folds of one expression against the rest, the reports' templates.
Not here: training itself, nor a paper's settings, which are recipes.
"""
