"""What was found, written down: records in every format, and what they come to.

Here: the record, its writers, other tools' formats, summaries of a recording and their figures.
Not here: how anything is found; a record does not know the analysis that it is of.
"""
