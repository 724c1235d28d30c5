"""The numbers of the pipeline for whoever runs it in another language: the browser package.

The networks are files and say themselves what they are; everything else that an answer depends on
stands in the modules it belongs to, and is gathered here. ``python -m mien.analysis.numbers FILE``
writes it as JSON, which ``make web`` puts into ``web/packages/mien``. Times are in seconds, angles
in radians.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from ..expression import baserates, intensity, recognize
from ..faces import align, detect, landmarker, landmarks, pose, proposals, quality
from ..faces.detectors import mien as detector
from ..media import cuts, preprocess
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
            "few": detector._FEW,
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
    }


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
