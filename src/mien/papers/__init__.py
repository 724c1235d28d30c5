"""Papers done again: their experiments, and reports that put our figures beside theirs.

Here: ``mien reproduce`` and what it may be told, one expression against the rest, reports and their
templates.
Not here: training itself, nor what its runs may be told, which are recipes.
"""
