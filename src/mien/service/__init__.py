"""mien behind HTTP: pictures in, the command line's records out.

Here: routes, what they take and answer, who may ask and how much, and the threads that analyse.
Not here: one rule of analysis; a route converts, and calls what the command line calls.
"""
