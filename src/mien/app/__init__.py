"""The command line: what a person at a terminal types and sees, a module for each noun.

Here: words are parsed, a library function is called, and its result is printed or shown.
Not here: what is computed, read, or written in a format; that is the library's, which imports
nothing of this.
"""
