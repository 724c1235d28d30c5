"""What a cut face shows: probabilities, intensities, and why.

Here: models run on crops, their calibration, base rates, maps that explain an answer. Never torch.
Not here: how such a model is trained (``training``) or judged (``evaluation``).
"""
