"""One person's own recogniser: their samples, a session that takes them, what learns from them.

Here: what is kept of a person and how it goes away, the trained last layer, its test.
Not here: how a camera is read or a face found; and nothing here knows a second person.
"""
