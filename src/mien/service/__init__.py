"""mien behind HTTP: pictures in one call, recordings as jobs, a camera's stream, people.

It converts what comes, calls what the command line calls, and answers in the same records.
"""
