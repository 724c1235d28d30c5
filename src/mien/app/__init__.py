"""The command line: what a person at a terminal types and sees, a module for each noun.

Here words are parsed, a library function is called, and its result is printed or shown.
What is computed, read, or written in a format belongs to the library, which imports nothing here.
"""
