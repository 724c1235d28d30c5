"""What ``augment`` may be told; here, as reading a recipe needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..errors import ConfigError

_SHARES = ("blur", "erase")


@dataclass(frozen=True, slots=True)
class Augment:
    """How far each change may go; 0 switches it off.

    flip : mirror half of the pictures.
    rotate_deg : turn by up to this many degrees either way.
    scale, aspect : grow or shrink by up to exp(scale); width against height by exp(aspect).
    shear : up to this tangent.
    shift : up to this share of the picture's side.
    contrast : up to exp(contrast) around the picture's mean.
    brightness : up to this many gray levels.
    blur : share of pictures averaged 3 x 3.
    noise : standard deviation of Gaussian noise up to this many gray levels, on a fifth of them.
    erase : share of pictures with a rectangle (1/8 to 3/8 of the side) set to the mean.
    mixup : each picture is a mean of two, and so is its target, the share drawn from
        Beta(mixup, mixup) (Zhang et al. 2018, arXiv:1710.09412).
    maps : how far the means of the maps between a network's blocks move, in their own standard
        deviations (``mien.training.mapshift``).
    variants : each picture is one of its ``mien.data.variants``, before anything else.
    """

    flip: bool = True
    rotate_deg: float = 0.0
    scale: float = 0.0
    aspect: float = 0.0
    shear: float = 0.0
    shift: float = 0.0
    contrast: float = 0.0
    brightness: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    erase: float = 0.0
    mixup: float = 0.0
    maps: float = 0.0
    variants: bool = False

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self)):
            value = getattr(self, name)
            if value < 0 or (name in _SHARES and value > 1):
                limits = "lies in [0, 1]" if name in _SHARES else "is at least 0"
                raise ConfigError(f"augment.{name} {limits}, got {value:g}")
