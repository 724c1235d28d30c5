"""The numbers of the pipeline for whoever runs it in another language: the browser package.

The networks are files and say themselves what they are; everything else that an answer depends on
stands in the modules it belongs to, and is gathered here. ``python -m mien.service.numbers FILE``
writes it as JSON, which ``make web`` puts into ``web/packages/mien``. Times are in seconds, angles
in radians.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from .. import labels
from ..expression import baserates, explain, intensity, recognize, typical
from ..faces import align, detect, landmarker, landmarks, pose, proposals, quality
from ..faces.detectors import mien as detector
from ..media import cuts, preprocess
from ..person import head, people, recognizer, samples, train
from ..results import records, summary
from ..tracking import smooth, tracks
from ..weights import session

SCHEMA = "mien-numbers/1"
_DIGITS = 12  # of what is computed, not typed: the last ones are the machine's


def numbers() -> dict[str, Any]:
    """All of them, by what they are of."""
    return {
        "schema": SCHEMA,
        "records": {"schema": records.SCHEMA},
        "model": {
            "schema": recognize.METADATA_SCHEMA,
            "key": session.METADATA_KEY,
            "chunk": recognize._CHUNK,
            "surest": intensity._SUREST,
        },
        "base_rates": {
            "target": baserates.BaseRates().target,
            "strength": baserates.DEFAULT_STRENGTH,
        },
        "preprocess": {"rest": preprocess._REST},
        "align": {
            "template": align.TEMPLATE.tolist(),
            "fine": align._FINE,
            "exact": align._EXACT,
            "spacing": align._SPACING,
            "smallest": align._SMALLEST,
            "largest": align._LARGEST,
        },
        "landmarks": _landmarks(),
        "proposals": {
            "strides": list(proposals.STRIDES),
            "sides": proposals.SIDES,
            "longest": proposals.LONGEST,
            "fine": proposals.FINE,
            "alike": proposals._ALIKE,
            "as_sure": proposals._AS_SURE,
            "candidates": proposals._CANDIDATES,
            "most": proposals._MOST,
            "beyond": proposals._BEYOND,
            "log_side": proposals._LOG_SIDE,
        },
        "detector": {
            "framing": detector.Mien.framing,
            "least": detector._LEAST,
            "likely": detector._LIKELY,
            "times": detector._TIMES,
            "near": detector._NEAR,
            "near_least": detector._NEAR_LEAST,
            "few": detector._FEW,
            "far": detector._FAR,
            "maybe": detector._MAYBE,
            "face": detector._FACE,
            "alike": detector._ALIKE,
            "overlap": detect._OVERLAP,
        },
        "pose": {
            "rigid": list(pose.RIGID),
            "from_table": [[round(v, _DIGITS) for v in row] for row in pose._FROM_TABLE.tolist()],
            "least_depth": pose._LEAST_DEPTH,
        },
        "quality": {
            "low": quality.LOW,
            "seen_at": quality._SEEN_AT.size,
            "factors": [list(factor) for factor in quality._FACTORS],
        },
        "cuts": {
            "size": list(cuts._SIZE),
            "sampled": cuts._SAMPLED,
            "flat": cuts._FLAT,
            "least": cuts._LEAST,
            "times": cuts._TIMES,
            "recent": cuts._RECENT,
        },
        "tracks": _tracks(),
        "smooth": {
            "reach_s": smooth._REACH_S,
            "blink_s": smooth._BLINK_S,
            "steady_s": smooth._STEADY_S,
            "calm": smooth._CALM,
            "change": smooth._CHANGE,
        },
        "episodes": {
            **dataclasses.asdict(summary.Rule()),
            "longest": summary._LONGEST,
            "slack": summary._SLACK,
        },
        "labels": {
            "canonical": list(labels.CANONICAL),
            "by_name": labels._BY_NAME,
            "reserved": sorted(labels.RESERVED),
            "reserved_beginnings": list(labels._RESERVED_BEGINNINGS),
            "between": labels.BETWEEN,
        },
        "explain": {
            "step": explain._STEP,
            "chunk": explain._CHUNK,
            "most_hidden": explain._MOST_HIDDEN,
            "colors": explain._colors(np.linspace(0, 1, 256, dtype=np.float32)[None])
            .tobytes()
            .hex(),
        },
        "person": _person(),
    }


def _person() -> dict[str, Any]:
    return {
        "schema": people.SCHEMA,
        "files": {
            "person": people.PERSON,
            "samples": people.SAMPLES,
            "test": people.TEST,
            "head": recognizer.FILES[recognizer.HEAD],
        },
        "kind": recognizer.HEAD,
        "longest_name": people._LONGEST,
        "longest_word": people._LONGEST_WORD,
        "samples": {
            "digits": samples._DIGITS,
            "around": samples._AROUND,
            "side": samples._SIDE,
            "beside": samples._BESIDE,
        },
        "head": {
            "manners": [
                [None if np.isinf(manner.penalty) else manner.penalty, manner.baseline]
                for manner in head.MANNERS
            ],
            "neutrals": head.NEUTRALS,
            "least_typical": typical.LEAST,
            "steps": head._STEPS,
            "folds": head._FOLDS,
            "least": head._LEAST,
            "rarest": head.RAREST,
            "temperatures": [round(t, _DIGITS) for t in head._TEMPERATURES.tolist()],
            "chunk": head._CHUNK,
            "random": _random(head._SEED),
        },
        "train": {
            "folds": train._FOLDS,
            "draws": train._DRAWS,
            "random": _random(train._SEED),
        },
    }


def _random(seed: int) -> dict[str, str]:
    """Where NumPy's generator (PCG-64) begins with a seed, as whole numbers of 128 bits."""
    begun: Any = np.random.default_rng(seed).bit_generator.state
    return {name: str(begun["state"][name]) for name in ("state", "inc")}


def _landmarks() -> dict[str, Any]:
    return {
        "points": landmarks.POINTS,
        "right_eye": [landmarks.RIGHT_EYE.start, landmarks.RIGHT_EYE.stop],
        "left_eye": [landmarks.LEFT_EYE.start, landmarks.LEFT_EYE.stop],
        "nose_tip": landmarks.NOSE_TIP,
        "right_mouth_corner": landmarks.RIGHT_MOUTH_CORNER,
        "left_mouth_corner": landmarks.LEFT_MOUTH_CORNER,
        "net_side": landmarks.NET_SIDE,
        "net_framing": landmarks.NET_FRAMING,
        "forehead": landmarks.FOREHEAD,
        "chunk": landmarker._CHUNK,
        "near": landmarker._NEAR,
    }


def _tracks() -> dict[str, Any]:
    return {
        "search_s": tracks.SEARCH_S,
        "memory_s": tracks.MEMORY_S,
        "behind_s": tracks.BEHIND_S,
        "missed_s": tracks._MISSED_S,
        "late": tracks._LATE,
        "grid": tracks._GRID,
        "velocity_decimals": tracks._VELOCITY_DECIMALS,
        "face": tracks._FACE,
        "jump": tracks._JUMP,
        "growth": tracks._GROWTH,
        "apart": tracks._APART,
        "touch": tracks._TOUCH,
        "reach": tracks._REACH,
        "reach_per_s": tracks._REACH_PER_S,
        "farthest": tracks._FARTHEST,
        "motion_s": tracks._MOTION_S,
        "turns_back": tracks._TURNS_BACK,
        "ahead_s": tracks._AHEAD_S,
        "doubts": tracks._DOUBTS,
        "places": tracks._PLACES,
        "fit_share": tracks._FIT_SHARE,
        "fewest": tracks._FEWEST,
    }


def text() -> str:
    """The JSON, as it is kept."""
    return json.dumps(numbers(), indent=1) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), encoding="utf-8")
