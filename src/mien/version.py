"""Which mien this is; ``mien.__version__``, for what lies below the door."""

__version__ = "0.1.0"
