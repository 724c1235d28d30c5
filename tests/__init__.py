"""What several tests share."""

from pathlib import Path

FIRST_MODEL = Path(__file__).parents[1] / "benchmarks" / "training" / "resnet10-ferplus.onnx"
"""The first default model: in single precision, and the same whatever is shipped today."""
