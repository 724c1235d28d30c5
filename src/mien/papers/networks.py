"""What a reproduction trained, left where ``mien models list`` finds it: a folder for MIEN_MODELS.

Each run that has a model file leaves it as ``models/PAPER-RUN.onnx``, under that name in its own
metadata, too, with its card beside it. Of several folds, seeds or people it is the first one's. A
run of many networks of which none can be used alone leaves a card that says so.
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
        name = name_of(paper, result["name"])
        if "parts" not in result:
            _say_none(name, result, out)
            continue
        part = result["parts"][0]
        trained = out / part["folder"] / model
        if not trained.is_file():  # of a run done long ago, and removed since: its figures stand
            continue
        content = trained.read_bytes()
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


def _say_none(name: str, result: dict[str, Any], out: Path) -> None:
    """A card for a run by ``folds``, whose networks each tell one expression, in one fold."""
    count = len(result["folds"])
    path = out / FOLDER / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    reason = (
        f"the run left {count} small networks, each of which tells one expression from the others "
        "in one fold, and none that reads a face; none of them is kept as a model file"
    )
    write_whole(f"# {name}\n\n{reason}\n".encode(), path)
