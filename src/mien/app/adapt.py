"""``mien adapt``: a model suited to the faces of one's own pictures, without labels."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from ..errors import ConfigError, DataError
from ..files import write
from .analysis import MOST_REASONS, reasons
from .laboratory import need_torch
from .options import Crops, ModelOut, a_number
from .terminal import say, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..expression.recognize import ModelInfo
    from ..face import FloatArray

_ENOUGH, _ONE_SIDED = 30, 0.8


def adapt(
    model: Annotated[
        str, typer.Argument(help="A model of `mien models list` that is mien's, or a file.")
    ],
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="PICTURES...", help="Pictures, folders of them, or recordings."),
    ],
    out: ModelOut,
    base_rates: Annotated[
        str,
        typer.Option(
            "--base-rates",
            metavar="training|equal|FILE",
            help="How common each expression is among these faces, as far as you know: as where "
            "the model was trained, all equally, or as FILE says (JSON or TOML).",
        ),
    ] = "training",
    resting: Annotated[
        bool,
        typer.Option("--resting", metavar="", help="These faces show nothing: they are at rest."),
    ] = False,
    fps: Annotated[
        float,
        typer.Option(
            min=0.001,
            help="So many frames of each second of a recording.",
            callback=a_number("--fps"),
        ),
    ] = 1.0,
    crops: Crops = False,
) -> None:
    """Suit a model to other people's faces, without labels. Its network stays as it is.

    Other people, another camera, another light move all answers by the same step, most often
    towards neutral. Some thirty faces tell that step: of one person, or of the people you analyse.
    They should show about what --base-rates says; of smiles alone it would learn that smiling is
    how these people look.
    """
    need_torch("writing a model file")
    from ..expression import typical
    from ..expression.baserates import BaseRates
    from ..expression.recognize import load_model
    from ..training.export import adapted, typical_of

    if resting and base_rates != "training":
        raise ConfigError(
            "--resting says what these faces show, and so does --base-rates: leave one"
        )
    info = load_model(model).info
    typical_of(info)
    names = info.label_set
    rates = BaseRates(base_rates, 1)
    mix = typical.at_rest(names) if resting else rates.shares(names, info.base_rates)
    probs = _answers(model, inputs, fps, crops, info)
    how = "at rest" if resting else f"base rates {base_rates}"
    content, step = adapted(model, probs, mix, how)
    write(out, content)
    _tell_step(info, probs, step)
    _warn(info, probs, resting or base_rates != "training")
    tell(out)


def _answers(
    model: str, inputs: Sequence[str], fps: float, crops: bool, info: ModelInfo
) -> FloatArray:
    """What the model answers to every face, (N, K), at its training's base rates.

    Raises DataError where there is no face; a picture that cannot be read is told and left out.
    """
    from ..analysis import batch
    from ..analysis.pipeline import Analyzer, Settings
    from ..analysis.recording import Options
    from ..expression.baserates import BaseRates
    from ..media.video import Span

    analyzer = Analyzer(Settings(model, base_rates=BaseRates("training"), crops=crops))
    jobs = batch.plan_all(batch.find(inputs), Options(Span(fps=fps), tracks=False))
    counts, probs, errors = Counter[str](), list[list[float]](), list[str]()
    for record in batch.analyze_files(jobs, analyzer):
        counts[record["status"]] += 1
        probs += [[f["emotions"][name] for name in info.label_set.labels] for f in record["faces"]]
        errors += reasons(record)
    for reason in errors[:MOST_REASONS]:
        say(f"left out {reason}")
    if len(errors) > MOST_REASONS:
        say(f"left out {len(errors) - MOST_REASONS} more that could not be read")
    found = f"{len(probs)} faces in {counts.total()} pictures and frames"
    if not probs:
        raise DataError(f"{found}: nothing to suit a model to; --crops if they are cut already")
    say(f"{found}, {counts['no_face']} without a face")
    return np.array(probs, np.float32)


def _tell_step(info: ModelInfo, probs: FloatArray, step: FloatArray) -> None:
    """How often each expression was the likeliest before and is now, at default base rates."""
    from ..expression.baserates import default_for, reweight
    from . import console

    weights = default_for(info.base_rates).weights(
        info.label_set, np.array(info.base_rates, np.float32)
    )
    labels = len(info.label_set)
    before, after = (
        np.bincount(reweight(p, weights).argmax(axis=1), minlength=labels) / len(probs)
        for p in (probs, probs * np.exp(step))
    )
    rows = [
        (label, f"{moved:+.2f}", f"{was:.0%}", f"{now:.0%}")
        for label, moved, was, now in zip(info.label_set.labels, step, before, after, strict=True)
    ]
    console.key_values(rows, ("these faces", "step", "told before", "now"))


def _warn(info: ModelInfo, probs: FloatArray, mix_is_told: bool) -> None:
    if len(probs) < _ENOUGH:
        say(f"{len(probs)} faces are few: {_ENOUGH} or more tell the step better")
    tops = np.bincount(probs.argmax(axis=1), minlength=len(info.label_set)) / len(probs)
    if not mix_is_told and tops.max() > _ONE_SIDED:
        label = info.label_set.labels[int(tops.argmax())]
        say(
            f"at its training's base rates {tops.max():.0%} of these faces are read as {label}. If "
            "that is what they show, the model now takes it for how these people look; say so by "
            "--base-rates FILE, or by --resting for faces at rest"
        )
