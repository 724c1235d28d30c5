"""How good a model is, and how that is shown.

Here: scores with their intervals, stress, where a network looks, figures, model cards.
Not here: anything that changes a model.
"""
