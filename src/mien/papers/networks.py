"""What a reproduction trained, left where ``mien models list`` finds it: a folder for MIEN_MODELS.

Each run that has a model file leaves it as ``models/PAPER-RUN.onnx``, under that name in its own
metadata, too, with its card beside it. Of several folds, seeds or people it is the first one's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..evaluation import cards
from ..expression.recognize import load_model
from ..training.checkpoint import write_whole
from ..training.export import metadata, with_metadata

FOLDER = "models"
_FIGURES = ("n", "accuracy", "accuracy_ci95", "majority_baseline", "balanced_accuracy")


def name_of(paper: str, run: str) -> str:
    """What the network of a paper's run is called.

    Examples
    --------
    >>> name_of("xu2019", "classification")
    'xu2019-classification'
    """
    return f"{paper}-{run}"


def leave(
    paper: str, results: Sequence[dict[str, Any]], model: str, out: Path, quick: bool
) -> list[Path]:
    """Copy every run's network into ``out/models``, named and with a card; the files, in order.

    results : of the runs, as ``report.write`` takes them. model : the file's name in a run's
    folder. quick : whether they are of a quick look, which their cards say.
    """
    left = []
    for result in results:
        part = result["parts"][0] if result.get("parts") else {}
        if not part or not part["network"]["sha256"]:
            continue
        name = name_of(paper, result["name"])
        content = (out / part["folder"] / model).read_bytes()
        meta = json.loads(metadata(content)) | {"name": name}
        meta["card"]["about"] = f"the network of {paper}'s run '{result['name']}'" + (
            ", of a quick look: to try things out, not to be used" if quick else ""
        )
        meta["card"]["reproduced"] = {
            "what": result["what"],
            "table": result["table"],
            "trainings": len(result["parts"]),
            "test": {figure: part["test"][figure] for figure in _FIGURES},
        }
        path = out / FOLDER / f"{name}.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(with_metadata(content, meta), path)
        card = cards.card(load_model(str(path)).info)
        write_whole(card.encode(), path.with_suffix(".md"))
        left.append(path)
    return left
