"""A finished run as one ONNX file that says everything needed to use it."""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from .. import foreign, jsontext
from ..data.table import Table, file_sha256
from ..data.table import read as read_table
from ..errors import ConfigError, DataError, ModelError, UnknownName
from ..evaluation import runlog
from ..evaluation.metrics import IntArray
from ..expression import intensity, typical
from ..expression.logits import softmax
from ..expression.recognize import METADATA_SCHEMA, ModelInfo, OnnxRecognizer, load_model
from ..face import FloatArray, Frame
from ..faces.landmarks import NET_SIDE
from ..faces.proposals import STRIDES, searched
from ..labels import LabelSet
from ..media.preprocess import Preprocess, batch
from ..provenance import now
from ..weights.session import METADATA_KEY
from . import arrange, calibrate, checkpoint, recipes, transfer
from .checkpoint import write_whole
from .expression_data import OWN_HEAD, judged, labelled, wanted
from .expression_task import tables_of
from .models import landmark_networks, proposal_networks
from .models.network import Backbone, last_layer
from .seen import Part, of_head, of_run, seen
from .train import task_of

AnyRecipe = recipes.AnyRecipe
PARITY = 1e-4
CHECKPOINT = "checkpoint.safetensors"
READINGS = ("all", "intensities", "typical")
"""What ``recalibrated`` can read anew."""
_PARITY_FACES, _PARITY_PICTURES = 256, 32
_BACKBONE_FACES = 32  # it takes a hundred times as long as a small network
_FEATURES_ATOL = 0.05  # of a probability: features are kept in half precision
_OPSET = 18


def export(
    run: Path,
    data: Path,
    out: Path,
    figures: Sequence[Path] = (),
    which: str = "best",
    features: Path | None = None,
    head: str = OWN_HEAD,
    also: Mapping[str, Path] | None = None,
) -> dict[str, Any]:
    """Write a run's weights as ONNX, calibrated on the recipe's select split.

    which : "best", of the epoch most accurate on the select split, or "last", the average the
        schedule ended with; the most accurate of many epochs owes some of that to luck.
    features : where training kept what frozen parts make of pictures; without, in ``run``.
    head : of a recipe's several, the one that answers.
    also : the tables of its further heads, by name.
    ``figures`` are files ``mien evaluate`` wrote for this model; they go into its card. Raises
    ModelError where ONNX Runtime and torch disagree on real faces by more than 1e-4.
    Returns the metadata.
    """
    recipe, facts = _read_run(run)
    _check_same(data, facts["data"], run)
    if isinstance(recipe, recipes.LandmarkRecipe | recipes.ProposalRecipe):
        return _export_finder(run, recipe, facts, read_table(data), out, which)
    if not isinstance(recipe, recipes.ExpressionRecipe):
        raise ConfigError(
            f"{run} trained a step of {recipe.model.name}, which is no model to export"
        )
    also = tables_of(recipe, also or {})
    for name, path in also.items():
        _check_same(path, facts["also"][name], run)
    if head not in recipe.heads:
        raise UnknownName("head", head, recipe.heads)
    names, columns = recipe.heads[head]
    table = arrange.read(recipe, data)
    parts = _seen(run, recipe, head, data, also)
    with checkpoint.fitting(run / CHECKPOINT):
        weights = _of_head(recipe, _weights(run, which), columns)
        net = _whole(recipe, names, weights).eval()

    meta: dict[str, Any] = {
        "schema": METADATA_SCHEMA,
        "name": out.stem,
        "label_set": names.name,
        "labels": list(names.labels),
        "preprocess": asdict(recipe.model.preprocess),
        "align": recipe.model.align,
        "temperature": 1.0,
        "look_again_below": calibrate.LOOK_AGAIN_BELOW,
        "base_rates": _rates(facts, head, names),
        "uncertain_below": 0.5,
        "card": _card(run, recipe, facts, which, {name for p in parts for name in p["sources"]})
        | {"weights_sha256": hashlib.sha256(save(weights)).hexdigest()},
    }
    meta["card"]["training"] |= {"seen": parts, "head": head}
    meta["card"]["figures"] = _figures(meta["card"]["weights_sha256"], figures)
    graph = to_onnx(net, recipe.model.size, recipe.model.preprocess.channels)
    select, targets = _judged(recipe, head, also, table)
    if recipe.data.target == "strengths" and select.intensity_labels:
        targets, select = targets[select.is_rated], select.keep(select.is_rated)
    if not len(select):
        raise DataError(
            f"no picture was held back that has a label to calibrate '{head}' by; a head with "
            "pictures of its own names their split as also.select"
        )
    if recipe.keeps_features:
        top, cpu = task_of(recipe).network(), torch.device("cpu")
        top.load_state_dict(weights)
        kept = transfer.Features(recipe, table, features or run / transfer.FOLDER, cpu)
        looks = transfer.logits(top, kept.of(select))
    else:
        looks = calibrate.looks(_recognizer(graph, meta), list(select.pictures()))
    if len(looks) == 1:  # it never saw a mirror image in training either
        meta["look_again_below"] = 0.0
    graded = recipe.data.target != "label" and head == OWN_HEAD
    rated = wanted(recipe.data, select) if graded else None
    meta |= calibrate.reading(looks, targets, meta["base_rates"], names, rated)
    if recipe.answers == "intensities":
        meta["intensity"] = intensity.Strengths().as_dict()
    recognizer = _recognizer(graph, meta)
    few = _BACKBONE_FACES if isinstance(net, Backbone) else _PARITY_FACES
    meta["card"]["parity"] = parity(net, recognizer, select, few)
    if recipe.keeps_features:
        meta["card"]["features"] = _same_as_kept(recognizer, select, looks[0], few)
    write_whole(with_metadata(graph, meta), out)
    return meta


def _check_same(path: Path, learnt: Mapping[str, Any], run: Path) -> None:
    """Raises DataError where a file is not the one that a run learnt from."""
    if not path.is_file():
        raise DataError(f"no such table: {path}; the run learnt from {learnt['file']}")
    if file_sha256(path) != learnt["sha256"]:
        raise DataError(
            f"{path} is not the table {run} was trained on ({learnt['file']}); "
            "if it was cut anew, cut it with the mien of the commit in the run's environment.json"
        )


def _whole(
    recipe: recipes.ExpressionRecipe, names: LabelSet, weights: dict[str, torch.Tensor]
) -> nn.Module:
    """The network that answers by these labels, with a run's weights."""
    if not isinstance(recipe, recipes.UnitsRecipe):
        return transfer.whole(recipe.model, len(names), weights)
    net = task_of(recipe).network()
    net.load_state_dict(weights)
    return net


def _of_head(
    recipe: recipes.ExpressionRecipe, weights: dict[str, torch.Tensor], columns: slice
) -> dict[str, torch.Tensor]:
    """A run's weights with a last layer that answers for one of its heads alone."""
    if not recipe.also:
        return weights
    name = last_layer(task_of(recipe).network())
    part = {key: weights[key][columns].contiguous() for key in (f"{name}.weight", f"{name}.bias")}
    return weights | part


def _judged(
    recipe: recipes.ExpressionRecipe, head: str, also: Mapping[str, Path], table: Table
) -> tuple[Table, IntArray]:
    """The labelled rows that a head is calibrated by, and what they show by its labels, (N,)."""
    select = table.of_split(recipe.data.select)
    targets = select.targets(recipe.data.names)
    for further in recipe.also:
        if further.table == head:
            known = read_table(also[head])
            if further.pictures == "own":
                select, shares = judged(further, known)
            else:
                shares = labelled(further, known, select)
            targets = np.where(shares.any(axis=1), shares.argmax(axis=1), -1)
    return select.keep(targets >= 0), targets[targets >= 0]


def _seen(
    run: Path, recipe: recipes.ExpressionRecipe, head: str, data: Path, also: Mapping[str, Path]
) -> list[Part]:
    """Whose pictures the model of a head was made with; runs did not always keep it."""
    parts = of_run(run)
    if not parts:
        parts = seen(recipe, read_table(data), {k: read_table(p) for k, p in also.items()}, ())
    return of_head(parts, head)


def _export_finder(
    run: Path,
    recipe: recipes.LandmarkRecipe | recipes.ProposalRecipe,
    facts: dict[str, Any],
    table: Table,
    out: Path,
    which: str,
) -> dict[str, Any]:
    """Write the weights of a run that finds faces or their landmarks as ONNX.

    Landmarks: points in [0, 1] of the crop, face-or-not logits. Proposals: four maps of a picture
    of any size.
    """
    placing = isinstance(recipe, recipes.LandmarkRecipe)
    net = (landmark_networks if placing else proposal_networks).build(recipe.model.name)
    with checkpoint.fitting(run / CHECKPOINT):
        net.load_state_dict(_weights(run, which))
    net.eval()
    size, spec = recipe.model.size, recipe.model.preprocess
    says: dict[str, Any]
    if isinstance(recipe, recipes.LandmarkRecipe):
        graph = to_onnx(net, size, spec.channels, ["points", "logits"])
        parity = landmark_parity(net, graph, table)
        says = {"points": "ibug68", "preprocess": {"size": size, "color": spec.color}}
    else:
        graph = proposals_to_onnx(net)
        parity = proposal_parity(net, graph, table.of_split(recipe.data.backgrounds))
        says = {"strides": list(STRIDES), "preprocess": {"color": spec.color}}
    card = _card(run, recipe, facts, which, table.sources) | {"parity": parity}
    meta = {"schema": METADATA_SCHEMA, "name": out.stem, **says, "card": card}
    write_whole(with_metadata(graph, meta), out)
    return meta


def landmark_parity(net: nn.Module, graph: bytes, table: Table) -> dict[str, float]:
    """The largest difference between torch's and ONNX Runtime's outputs on real faces."""
    import onnxruntime as ort

    faces = table.keep(row.landmarks is not None for row in table.rows)
    few = faces.keep(i < _PARITY_FACES for i in range(len(faces)))
    x = few.planes(Preprocess(NET_SIDE, "gray")).astype(np.float32)
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        pairs = zip(net(torch.from_numpy(x)), session.run(None, {"face": x}), strict=True)
        difference = max(float(np.abs(a.numpy() - b).max()) for a, b in pairs)
    return _checked({"faces": len(few), "largest_difference": difference})


def proposals_to_onnx(net: nn.Module) -> bytes:
    """The graph of a proposal network, for one picture of whole multiples of 64 pixels."""
    cells = [torch.export.Dim(name, min=1, max=64) for name in ("rows", "columns")]
    sides = {2 + i: STRIDES[-1] * cell for i, cell in enumerate(cells)}
    names = [f"stride{stride}" for stride in STRIDES]
    example = torch.zeros(1, 1, 2 * STRIDES[-1], 3 * STRIDES[-1])
    return _graph(net, example, ["picture"], names, sides)


def proposal_parity(net: nn.Module, graph: bytes, table: Table) -> dict[str, float]:
    """The largest difference between torch's and ONNX Runtime's maps on real pictures."""
    import onnxruntime as ort

    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    pictures = [p for p, _ in zip(table.pictures(), range(_PARITY_PICTURES), strict=False)]
    difference = 0.0
    for picture in pictures:
        x = searched(Frame(picture))[0]
        with torch.no_grad():
            pairs = zip(net(torch.from_numpy(x)), session.run(None, {"picture": x}), strict=True)
            difference = max(difference, *(float(np.abs(a.numpy() - b).max()) for a, b in pairs))
    return _checked({"pictures": len(pictures), "largest_difference": difference})


def _checked(parity: dict[str, float]) -> dict[str, float]:
    if parity["largest_difference"] > PARITY:
        raise ModelError(
            f"torch and ONNX Runtime differ by {parity['largest_difference']:.2g} on real faces"
        )
    return parity


def _splits(recipe: AnyRecipe) -> dict[str, Any]:
    if isinstance(recipe, recipes.LandmarkRecipe):
        return {"train": list(recipe.data.splits), "select": "a tenth of each"}
    if isinstance(recipe, recipes.ProposalRecipe):
        made_of = [*recipe.data.faces, recipe.data.backgrounds, *recipe.data.decoys]
        return {"train": made_of, "select": "scenes made of a tenth of each"}
    assert isinstance(recipe, recipes.ExpressionRecipe)  # no others are exported
    return {"train": recipe.data.train, "select": recipe.data.select}


def _read_run(run: Path) -> tuple[AnyRecipe, dict[str, Any]]:
    try:
        saved, environment = (checkpoint.kept(run / f"{n}.json") for n in ("recipe", "environment"))
        stages = {key: saved[key] for key in ("data", "init_sha256", "teacher_sha256")}
        recipe = recipes.from_values(foreign.table(saved["recipe"], "recipe"))
        further = recipe.also if isinstance(recipe, recipes.ExpressionRecipe) else ()
        stages["also"] = {head.table: saved["also"][head.table] for head in further}
        _check_facts(environment | stages)
    except (KeyError, ValueError, ConfigError, ModelError) as err:
        what = f"no {err}" if isinstance(err, KeyError) else err
        raise ModelError(f"{run} is not the folder of a finished run: {what}") from err
    if not (run / CHECKPOINT).is_file():
        raise ModelError(f"{run} has no weights yet; finish it with: mien train")
    if not isinstance(recipe, AnyRecipe):
        raise ConfigError(
            f"{run} trained a step of {recipe.model.name}, which is no model to export"
        )
    return recipe, environment | stages


def _check_facts(facts: dict[str, Any]) -> None:
    """Raise KeyError or ValueError where a run's files lack what an export reads of them."""
    learnt = {"data": facts["data"], **facts["also"]}
    for table, file in learnt.items():
        for name in ("file", "sha256"):
            foreign.word(foreign.table(file, table)[name], f"{table}.{name}")
    for name in ("counts", "machine", "versions"):
        foreign.table(facts[name], name)
    for name in ("commit", "date"):
        facts[name]


def _rates(facts: dict[str, Any], head: str, names: LabelSet) -> list[float]:
    """How often each label of a head occurred in training; raises ModelError.

    A label that never did cannot be answered: what turns base rates would divide by nothing.
    """
    try:
        said = facts["base_rates"] if head == OWN_HEAD else facts["head_rates"][head]
        rates = [
            foreign.number(v, "a base rate", 0, 1)
            for v in foreign.listed(said, "base_rates", len(names))
        ]
    except (KeyError, TypeError, ValueError) as err:
        raise ModelError(f"the run does not say its base rates for '{head}': {err}") from err
    never = [label for label, rate in zip(names.labels, rates, strict=True) if not rate > 0]
    if never:
        raise ModelError(
            f"no picture that trained shows {', '.join(never)}, so the model cannot answer it; "
            "train with the others: data.labels, or also.labels of a further head"
        )
    return rates


def _weights(run: Path, which: str) -> dict[str, torch.Tensor]:
    if which not in ("best", "last"):
        raise ConfigError(f"the weights of a run are its best or its last, not '{which}'")
    part = {"best": "best", "last": "ema"}[which]
    with checkpoint.fitting(run / CHECKPOINT):
        tensors = checkpoint.read(run / CHECKPOINT).parts[part]
    return {k: v.contiguous() for k, v in tensors.items()}


def _figures(weights_sha256: str, paths: Sequence[Path]) -> list[dict[str, Any]]:
    """What ``mien evaluate`` wrote; raises DataError where that was about other weights."""
    found = [_measured(path) for path in paths]
    for path, result in zip(paths, found, strict=True):
        if result["model"]["weights_sha256"] != weights_sha256:
            raise DataError(f"{path} was measured on other weights than those exported here")
    return found


def _measured(path: Path) -> dict[str, Any]:
    """A result of ``mien evaluate``; raises DataError for another file."""
    try:
        result = foreign.table(jsontext.parse(foreign.content(path)), "it")
        foreign.table(result["model"], "model")["weights_sha256"]
    except OSError as err:
        raise DataError(f"cannot read {path}: {err.strerror}") from err
    except (KeyError, ValueError) as err:
        raise DataError(f"{path} is no result of mien evaluate --out: {err}") from err
    return result


def _card(
    run: Path, recipe: AnyRecipe, facts: dict[str, Any], which: str, sources: Collection[str]
) -> dict[str, Any]:
    epochs = runlog.epochs(run / "log.jsonl")
    rank = task_of(recipe).rank
    best = max(epochs, key=lambda e: rank(e["select"])) if which == "best" else epochs[-1]
    return {
        "training": {
            "data": facts["data"],
            "sources": sorted(sources),
            "init_sha256": facts["init_sha256"],
            "teacher_sha256": facts["teacher_sha256"],
            "splits": _splits(recipe),
            "counts": facts["counts"],
            "commit": facts["commit"],
            "date": facts["date"],
            "machine": facts["machine"],
            "versions": facts["versions"],
            "network": recipe.model.name,
            "pretrained": recipe.model.pretrained,
            "epochs": len(epochs),
            "weights": which,
            "epoch": best["epoch"],
            "select": best["select"],
            "seed": recipe.train.seed,
            "minutes": round(sum(e["seconds"] for e in epochs) / 60, 1),
        },
        "paper": recipe.paper.cite if recipe.paper else None,
        "deviations": [{"what": d.what, "why": d.why} for d in recipe.deviation],
        "licence": _LICENCE,
    }


_LICENCE = (
    "The code that made it is Apache-2.0. Its training pictures come with terms of their own, "
    "which may reach what is trained on them; see training data."
)


def to_onnx(
    net: nn.Module, size: int, channels: int, outputs: Sequence[str] = ("logits",)
) -> bytes:
    """The network's graph, batch of any size; normalisation is inside."""
    example = torch.zeros(2, channels, size, size)
    return _graph(net, example, ["face"], outputs, {0: torch.export.Dim("batch")})


def _graph(
    net: nn.Module,
    example: torch.Tensor,
    inputs: Sequence[str],
    outputs: Sequence[str],
    dynamic: dict[int, Any],
) -> bytes:
    # The exporter warns of its own internals, and of torchvision, which mien does not use.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            net,
            (example,),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=(dynamic,),
            opset_version=_OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    graph: bytes = program.model_proto.SerializeToString()
    return graph


def with_metadata(graph: bytes, meta: dict[str, Any]) -> bytes:
    """The same graph with mien's metadata in it."""
    import onnx

    model = onnx.load_from_string(graph)
    # The exporter notes source lines and module paths on every node: a fifth of the file, and
    # the paths of the machine it ran on.
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        value.ClearField("metadata_props")
    model.graph.ClearField("metadata_props")
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(meta)})
    content: bytes = model.SerializeToString()
    return content


def _recognizer(graph: bytes, meta: dict[str, Any]) -> OnnxRecognizer:
    return OnnxRecognizer(with_metadata(graph, meta), meta["name"], "")


def recalibrated(
    model: str, table: Table, what: str = "all", offsets: bool = True
) -> tuple[bytes, dict[str, Any]]:
    """A model file with its answers read as fits a table, and what its metadata says now.

    what : of ``READINGS``; raises DataError where the table cannot tell it, and UnknownName for
        another.
    offsets : of each label, beside the temperature; see ``calibrate.fit``.

    The network in it stays as it is, and so do its figures: they were measured on the old reading,
    and its card says that it was read anew since. What is typical changes no answer, and is not
    told there.
    """
    recognizer = load_model(model)
    if what not in READINGS:
        raise UnknownName("reading", what, READINGS)
    meta = json.loads(metadata(recognizer.content))
    if what == "typical":
        meta |= {"typical": calibrate.typical_answers(recognizer, table)}
        return with_metadata(recognizer.content, meta), meta
    if what == "intensities":
        read: dict[str, Any] = {"intensity": calibrate.intensities(recognizer, table)}
    else:
        read = calibrate.again(recognizer, table, offsets)
    meta |= read
    labels, rated = calibrate.graded(recognizer.info, table)
    anew: dict[str, Any] = {"what": sorted(read), "table": table.name, "splits": list(table.splits)}
    if labels:
        anew["graded"] = {"labels": list(labels), "faces": int(rated.sum())}
    meta["card"]["read_anew"] = anew | {"date": now()}
    return with_metadata(recognizer.content, meta), meta


def typical_of(info: ModelInfo) -> typical.Typical:
    """What is typical to a model; raises ModelError where its file does not say so."""
    if info.typical is None:
        raise ModelError(
            f"{info.name} does not say where its answers to each expression lie, which adapting "
            "begins with. To a model file of mien's, faces that are labelled tell it: mien "
            "calibrate MODEL TABLE --what typical"
        )
    return info.typical


def adapted(model: str, probs: FloatArray, mix: FloatArray, how: str) -> tuple[bytes, FloatArray]:
    """A model file suited to other people's faces, which nobody labelled, and the step it took.

    probs : (N, K) what the model answers to them, at its training's base rates. mix : (K,) how
    common each expression is among them, as ``how`` says in words; see ``typical.step``.

    Prediction sets are left out: what they promise was tried on labelled faces. Raises ModelError
    for a file that does not say what is typical to it.
    """
    recognizer = load_model(model)
    info = recognizer.info
    step = typical.step(probs, typical_of(info), mix)
    meta = json.loads(metadata(recognizer.content))
    before = np.zeros(len(step)) if info.offsets is None else np.array(info.offsets)
    meta |= {"offsets": [round(float(v), 4) for v in before + step], "prediction_sets": None}
    meta["card"]["adapted"] = {"faces": len(probs), "mix": how, "date": now(), "from": info.sha256}
    return with_metadata(recognizer.content, meta), step


def metadata(content: bytes) -> str:
    """What a model file of mien's says of itself, as JSON; raises ModelError for another's."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        props = onnx.load_from_string(content).metadata_props
    except DecodeError as err:
        raise ModelError("this takes model files that mien exported, and this is no model") from err
    found = {prop.key: prop.value for prop in props}
    if METADATA_KEY not in found:
        raise ModelError("this takes model files that mien exported, and this is another maker's")
    return str(found[METADATA_KEY])


def _same_as_kept(
    recognizer: OnnxRecognizer, table: Table, kept: FloatArray, few: int
) -> dict[str, float]:
    """How far the model file's answers are from those of the features the run was tested by."""
    crops = [p for p, _ in zip(table.pictures(), range(few), strict=False)]
    apart = np.abs(softmax(recognizer.logits(crops)) - softmax(kept[: len(crops)]))
    found = {"faces": len(crops), "largest_difference": float(apart.max())}
    if found["largest_difference"] > _FEATURES_ATOL:
        raise ModelError(f"the kept features are not those of this model: {found}; delete them")
    return found


def parity(
    net: nn.Module, recognizer: OnnxRecognizer, table: Table, few: int = _PARITY_FACES
) -> dict[str, float]:
    """The largest difference between torch's and ONNX Runtime's logits on ``few`` real faces."""
    crops = [p for p, _ in zip(table.pictures(), range(few), strict=False)]
    x = torch.from_numpy(batch(crops, recognizer.info.preprocess))
    with torch.no_grad():
        difference = float(np.abs(net(x).numpy() - recognizer.logits(crops)).max())
    return _checked({"faces": len(crops), "largest_difference": difference})
