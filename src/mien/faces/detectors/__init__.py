"""The detectors, one module each; ``detect.detectors`` names them."""
