"""The model card: what a model file says of itself, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import ModelError
from ..expression.recognize import ModelInfo, load_model
from ..expression.sets import PredictionSets
from ..faces import landmarker, proposals
from ..faces.proposals import FINE, LONGEST
from ..weights import catalogue
from . import metrics

SUBSETS = {
    "without_pixels_in_training": "pixels not in training",
    "without_copies_in_training": "nor augmented copies",
    "without_near_duplicates_in_training": "nor near duplicates",
    "where_most_votes_agree": "over half of the votes agree",
}
NOTICE = "An expression is not a determination of what a person feels."


def of(model: str) -> str:
    """The card of a model by its name, or of a model file; raises what loading it raises."""
    finders: dict[str, type[landmarker.Landmarker] | type[proposals.Proposer]] = {
        landmarker.NAME: landmarker.Landmarker,
        proposals.NAME: proposals.Proposer,
    }
    if model in finders:
        return finder_card(model, finders[model]().meta, catalogue.spec(model).sha256)
    info = load_model(model).info
    try:
        return card(info)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as err:
        raise ModelError(
            f"{model} can be used, but its card cannot be shown: it is damaged "
            f"({type(err).__name__}: {err})"
        ) from err


def card(info: ModelInfo) -> str:
    """A model's card; every figure in it comes from the file itself."""
    return "\n".join(_lines(info)) + "\n"


def stress_section(name: str, result: dict[str, Any]) -> str:
    """What ``mien evaluate --stress`` found of a model, accuracy by level, to follow its card."""
    return "\n".join(_stress_lines(name, result)) + "\n"


def _stress_lines(name: str, result: dict[str, Any]) -> Iterator[str]:
    data, curves = result["data"], result["results"]
    peers = [peer for peer in curves if peer != name]
    yield from (
        "",
        f"## Under stress, on {data['n']:,} pictures of {data['name']}, {data['split']}",
    )
    yield ""
    about = f"Accuracy over {', '.join(result['labels'])}"
    beside = f"; in brackets that of {' / '.join(peers)} on the same pictures" if peers else ""
    yield f"{about}, at the base rates a user gets{beside}. Unchanged:"
    low, high = curves[name]["clean"]["accuracy_ci95"]
    clean = _beside(curves[name]["clean"], [curves[peer]["clean"] for peer in peers])
    yield f"{clean}, 95 % interval {low:.3f}-{high:.3f}, about as wide throughout."
    yield from ("", "| condition | level: accuracy |", "| --- | --- |")
    for condition, what in result["conditions"].items():
        cells = [
            f"{_level(point['level'])}: {_beside(point, others)}"
            for point, *others in zip(
                *(curves[model][condition] for model in (name, *peers)), strict=True
            )
            if point["level"] is not None
        ]
        yield f"| {condition} ({what['unit']}) | {'; '.join(cells)} |"


def _beside(point: dict[str, Any], others: list[dict[str, Any]]) -> str:
    figures = " / ".join(f"{other['accuracy']:.2f}" for other in others)
    return f"{point['accuracy']:.2f}" + (f" ({figures})" if figures else "")


def _level(level: float | str) -> str:
    return str(level).replace("_", " ")


def finder_card(name: str, meta: dict[str, Any], sha256: str) -> str:
    """The card of a network that finds faces or their landmarks, from what its file says."""
    return "\n".join(_finder_lines(name, meta, sha256)) + "\n"


def _finder_lines(name: str, meta: dict[str, Any], sha256: str) -> Iterator[str]:
    facts = meta["card"]["training"]
    color = meta["preprocess"]["color"]
    yield from (f"# {name}", "")
    if "points" in meta:
        side = meta["preprocess"]["size"]
        yield "- answers: 68 landmarks in iBUG's order, and whether there is a face"
        yield f"- takes: one square about a face, {side} x {side} {color}"
    else:
        yield "- answers: where faces might be, how large and how far turned, and how likely"
        sides = f"{LONGEST} pixels, or {FINE} for small faces"
        yield f"- takes: a whole picture, {color}, shrunk to {sides}"
    yield f"- sha256: `{sha256}`"
    yield f"- licence: {meta['card']['licence']}"
    if bits := meta["card"].get("bits"):
        yield f"- in {bits['bits']} bits, scaled by {bits['pictures']} pictures"
        yield f"  (made of `{bits['sha256']}`)"
    yield from ("", "## Training", "")
    yield f"- data: {facts['data']['file']}, sha256 `{facts['data']['sha256']}`"
    for split, n in facts["counts"].items():
        yield f"- {split}: {n['used']:,} pictures, and {n['kept_for_selection']:,} kept apart"
    yield from _run(facts)
    figures = ", ".join(f"{k} {v:.4f}" for k, v in facts["select"].items())
    yield f"- weights of epoch {facts['epoch']}: {figures} on what was kept apart"
    yield from _deviations(meta["card"])


def _run(facts: dict[str, Any]) -> Iterator[str]:
    """How long a run took on what, and what it began with."""
    yield f"- {facts['network']}, seed {facts['seed']}, {facts['epochs']} epochs in"
    yield f"  {facts['minutes']} minutes on {facts['machine']['cores']} cores;"
    yield f"  commit {facts['commit']}"
    if facts["init_sha256"]:
        yield f"- started from the weights `{facts['init_sha256']}`"


def _deviations(said: dict[str, Any]) -> Iterator[str]:
    if deviations := said.get("deviations"):
        yield from ("", "## Where it differs from its paper", "")
        yield str(said["paper"])
        yield ""
        yield from (f"- {d['what']}: {d['why']}" for d in deviations)


def _lines(info: ModelInfo) -> Iterator[str]:
    yield from (f"# {info.name}", "", NOTICE, "")
    yield f"- answers: {', '.join(info.label_set.labels)}"
    side = info.preprocess.size
    yield f"- takes: one face, {side} x {side} {info.preprocess.color}"
    yield f"- sha256: `{info.sha256}`"
    yield f"- licence: {info.card.get('licence', 'not said')}"
    if about := info.card.get("about"):
        yield f"- about: {about}"
    if info.base_rates:
        rates = zip(info.label_set.labels, info.base_rates, strict=True)
        yield f"- temperature: {info.temperature:.3f}"
        if info.offsets and any(info.offsets):
            moved = zip(info.label_set.labels, info.offsets, strict=True)
            yield "- offsets of calibration: " + ", ".join(f"{k} {v:+.2f}" for k, v in moved)
        if adapted := info.card.get("adapted"):
            yield f"- adapted to {adapted['faces']} faces without labels ({adapted['mix']}),"
            yield f"  {adapted['date'][:10]}; from `{adapted['from']}`, whose figures follow"
        if info.look_again_below:
            yield f"- looks again, mirrored, below a top probability of {info.look_again_below:g}"
        if info.strengths:
            anew = info.card.get("read_anew", {})
            fitted = f", fitted on {anew['table']} {', '.join(anew['splits'])}" if anew else ""
            yield f"- tells intensities beside probabilities{fitted}"
        yield f"- uncertain below a top probability of {info.uncertain_below:.3f}"
        if info.prediction_sets:
            yield from _calibrated_sets(info.prediction_sets)
        yield "- training base rates: " + ", ".join(f"{k} {v:.3f}" for k, v in rates)
    yield from _training(info.card.get("training"))
    yield from _reproduced(info.card.get("reproduced"))
    for figures in info.card.get("figures", []):
        yield from _figures(figures)
    yield from _deviations(info.card)


def _training(facts: dict[str, Any] | None) -> Iterator[str]:
    if not facts:
        return
    counts, select = facts["counts"], facts["select"]
    yield from ("", "## Training", "")
    yield f"- data: {facts['data']['file']}, sha256 `{facts['data']['sha256']}`"
    yield f"- rows used: {counts['train_used']} of {counts['train_rows']}; left out:"
    yield f"  {counts['train_without_emotion']} without an expression,"
    if unrated := counts.get("train_unrated"):
        yield f"  {unrated} that nobody rated,"
    yield f"  {counts.get('train_pixels_in_other_splits', 0)} with pixels of another split"
    yield from _run(facts)
    taught = facts["teacher_sha256"] or []  # a card from when there was one teacher at most: a str
    for sha256 in [taught] if isinstance(taught, str) else taught:
        yield f"- taught in part by the model `{sha256}`"
    how = {"best": "the most accurate epoch", "last": "the last epoch"}[facts["weights"]]
    yield f"- weights of {how}, {facts['epoch']}: {select['accuracy']:.4f} on"
    yield f"  {facts['splits']['select']} before calibration, one look a face"
    if facts.get("head", "own") != "own":
        yield f"- this is its head '{facts['head']}'; rows and accuracy are of the recipe's own"


def _reproduced(facts: dict[str, Any] | None) -> Iterator[str]:
    """What the run of a paper that left this network tested it on, and came to."""
    if not facts:
        return
    test, several = facts["test"], facts["trainings"]
    yield from ("", "## In the reproduction of its paper", "")
    which = f"; the first of {several} trainings" if several > 1 else ""
    yield f"- run: {facts['what']}, on {facts['table']}{which}"
    low, high = test["accuracy_ci95"] or (None, None)
    interval = "" if low is None else f" ({low:.3f}-{high:.3f})"
    yield f"- tested on {test['n']:,} pictures: accuracy {test['accuracy']:.3f}{interval}, balanced"
    yield f"  {test['balanced_accuracy']:.3f}, one look a face, before calibration;"
    yield f"  always naming the commonest expression: {test['majority_baseline']:.3f}"


def _figures(figures: dict[str, Any]) -> Iterator[str]:
    data = figures["data"]
    yield from ("", f"## Measured on {data['name']}, {data['split']}", "")
    if figures["detector"]:
        how = f"{figures['detector']['name']}, which found none in {figures['missed']} pictures"
        yield from (f"Faces cut by {how}.", "")
    if figures["left_out"]:
        left = ", ".join(f"{n} {label}" for label, n in figures["left_out"].items())
        yield from (f"Left out: {left}.", "")
    head = ["base rates", "n", "accuracy (95 %)", "balanced (95 %)", "macro-F1", "ECE", "majority"]
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    for result in figures["results"]:
        rates = result["base_rates"]
        name = rates["target"]
        if name != "training":
            name += f", strength {rates['strength']:g}"
        yield _row(name, result)
        for key, kind in SUBSETS.items():
            if kept := result.get(key):
                yield _row(f"{name}; {kind}", kept)
    for result in figures["results"]:
        if "prediction_sets" in result:
            yield from _sets(result["prediction_sets"])
    yield from _classes(figures["results"])
    yield from _confusion(figures["results"][-1])
    if groups := figures["results"][-1].get("by"):
        yield from _groups(groups, figures["results"][-1]["base_rates"]["target"])


def _calibrated_sets(known: PredictionSets) -> Iterator[str]:
    yield (
        f"- prediction sets (`--coverage`) at {known.rates} base rates, calibrated on "
        f"{known.faces:,} faces"
    )
    if known.checked:
        told = "; ".join(f"{float(c):.0%}: {_held(one)}" for c, one in known.checked.items())
        yield f"  (left out of the fit by turns: {told})"


def _sets(figures: dict[str, Any]) -> Iterator[str]:
    """How often prediction sets hold the raters' answer, and where they do not as promised."""
    yield from ("", "| prediction sets | hold the raters' answer (95 %) | expressions in a set |")
    yield "| --- | --- | --- |"
    for promised, one in figures.items():
        low, high = one["coverage_ci95"]
        short = "" if metrics.holds(one, float(promised)) else ": **not as promised**"
        held = f"{one['coverage']:.3f} ({low:.3f}-{high:.3f}){short}"
        yield f"| `--coverage {promised}` | {held} | {one['size']:.2f}, {one['single']:.0%} one |"
    weak = {k: v for k, v in figures["0.9"]["per_class"].items() if v < 0.8}
    if weak:
        told = ", ".join(f"{label} {held:.0%}" for label, held in weak.items())
        yield from ("", f"At 0.9 least often where the raters said: {told}.")


def _held(one: dict[str, Any]) -> str:
    return f"{one['coverage']:.1%} held, {one['size']:.2f} expressions in a set"


def _row(name: str, r: dict[str, Any]) -> str:
    def interval(key: str) -> str:
        low, high = r[f"{key}_ci95"]
        return f"{r[key]:.4f} ({low:.3f}-{high:.3f})"

    cells = [name, str(r["n"]), interval("accuracy"), interval("balanced_accuracy")]
    cells += [f"{r[k]:.4f}" for k in ("macro_f1", "ece", "majority_baseline")]
    return "| " + " | ".join(cells) + " |"


def _classes(results: list[dict[str, Any]]) -> Iterator[str]:
    """Recall per class, one column per base-rate setting."""
    names = [r["base_rates"]["target"] for r in results]
    yield from ("", "| recall / precision | n | " + " | ".join(names) + " |")
    yield "|" + " --- |" * (len(names) + 2)
    for label, first in results[0]["per_class"].items():
        cells = [
            f"{r['per_class'][label]['recall']:.3f} / {r['per_class'][label]['precision']:.3f}"
            for r in results
        ]
        yield f"| {label} | {first['support']:.0f} | " + " | ".join(cells) + " |"


def _confusion(result: dict[str, Any]) -> Iterator[str]:
    """How often each expression was taken for which."""
    labels, rates = result["confusion"]["labels"], result["base_rates"]["target"]
    yield from ("", f"Rows as labelled, columns as answered at {rates} base rates:", "")
    yield "| | " + " | ".join(label[:4] for label in labels) + " |"
    yield "|" + " --- |" * (len(labels) + 1)
    for label, row in zip(labels, result["confusion"]["rows_actual"], strict=True):
        yield f"| {label} | " + " | ".join(map(str, row)) + " |"


def _groups(told: dict[str, Any], rates: str) -> Iterator[str]:
    """Figures by group, and whether chance parts people as far as the best and the worst group."""
    yield from ("", f"By {told['column']}, at {rates} base rates:", "")
    yield f"| {told['column']} | n | people | accuracy (95 %) | majority |"
    yield "| --- | --- | --- | --- | --- |"
    for name, group in told["groups"].items():
        low, high = group["accuracy_ci95"]
        accuracy = f"{group['accuracy']:.3f} ({low:.3f}-{high:.3f})"
        share = f"{group['majority_baseline']:.3f}"
        people = "" if group["people"] is None else group["people"]
        yield f"| {name} | {group['n']} | {people} | {accuracy} | {share} |"
    if gap := told["gap"].get("accuracy"):
        low, high = gap["gap_ci95"]
        yield ""
        yield f"{gap['best']} lies {gap['gap']:.3f} ({low:.3f} to {high:.3f}) above {gap['worst']};"
        yield f"chance alone gives as much in {gap['by_chance']:.1%} of deals."
