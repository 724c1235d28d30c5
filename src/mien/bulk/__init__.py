"""Many files on many processes or machines: the command line's records, and nothing lost.

Here: what is to be done and what is done, files elsewhere, who does it (this machine, or Ray).
Not here: how a picture or a recording is read (``analysis``), cut or joined (``analysis.ranges``).
"""
