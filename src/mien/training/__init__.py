"""How models are made: recipes, networks, one readable loop, and the way out to ONNX.

Here: everything that imports torch, but for a person's own network of the mouth.
Not here: which experiments a paper needs (``papers``); a recipe is data, in ``recipes/``.
"""
