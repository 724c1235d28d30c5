"""What a person at a terminal sees: tables on stdout, progress on stderr."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from ..analysis.batch import Reached
from ..errors import ModelError
from ..evaluation import metrics
from ..evaluation.cards import SUBSETS
from ..evaluation.panel import by_default
from ..results.records import Record, answers_of
from ..weights import catalogue
from ..weights.catalogue import WeightSpec
from .terminal import plain, say

if TYPE_CHECKING:
    from ..results.summary import Recording, Rule

_NARROWEST = 60  # columns that a table takes at least
_BAR = 10  # cells of a full probability bar


def _console() -> Console:
    """Stdout: as wide as the terminal; where there is none, no line is ever folded.

    A terminal that is too narrow for any table folds its lines itself: nothing is left out.
    """
    console = Console()
    console.width = max(console.width, _NARROWEST) if console.is_terminal else 10_000
    return console


def _text(text: str, style: str = "") -> Text:
    """A cell as it is: a file's name must not steer the terminal, nor become an emoji."""
    return Text("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text), style)


class Screen:
    """Takes records as ``records.Output`` does; a table of them is shown at the end.

    The end may be Ctrl-C: what was done is shown.
    recordings : sources whose frames are put together, a row for each face.
    coverage : of the prediction sets that faces have; None where they have none.
    """

    path = None
    is_stream = False
    whole_bytes = 0

    def __init__(self, recordings: Collection[str] = (), coverage: float | None = None) -> None:
        self.counts, self.answers = Counter[str](), Counter[str]()
        self._recordings, self._coverage = recordings, coverage
        self._shown: dict[str, dict[int | None, _Shown]] = {}
        self._console = _console()
        self._bar = "#." if self._console.options.ascii_only else "█░"
        self._table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        self._table.add_column("picture", overflow="fold")
        self._table.add_column("expression", no_wrap=True)
        self._table.add_column("probability", no_wrap=True)
        self._table.add_column("next", no_wrap=True, style="dim")
        self._table.add_column("quality", justify="right", no_wrap=True)
        if coverage is not None:
            self._table.add_column(f"one of these, {coverage:.1%}".replace(".0%", "%"))
        self._unsure = False

    def __enter__(self) -> Screen:
        return self

    def write(self, record: Record) -> None:
        """A row per face; what went wrong, where there is none."""
        self.counts[record["status"]] += 1
        self.answers.update(answers_of(record))
        if record["source"] in self._recordings and "reason" not in record:
            tracks = self._shown.setdefault(record["source"], {})
            for face in record["faces"]:
                tracks.setdefault(face["track"], _Shown()).add(face)
            return
        name = _text(Path(record["source"]).name)
        if not record["faces"]:
            what = "no face" if record["status"] == "no_face" else record["status"]
            style = "red" if record["status"] == "error" else "dim"
            self._table.add_row(name, Text(what, style))
        for number, face in enumerate(record["faces"]):
            self._table.add_row(name if number == 0 else "", *self._cells(face))

    def _cells(self, face: Record) -> Iterator[Text]:
        (label, top), (other, second) = sorted(face["emotions"].items(), key=lambda kv: -kv[1])[:2]
        unsure, full = face["uncertain"], round(top * _BAR)
        self._unsure |= unsure
        yield Text(f"{label} ?", "yellow") if unsure else Text(label, "bold")
        bar = Text(self._bar[0] * full, "green") + Text(self._bar[1] * (_BAR - full), "dim")
        yield bar + f" {_percent(top):>4}"
        yield Text(f"{other} {_percent(second)}" if second >= 0.01 else "")
        yield Text(f"{face['picture_quality']:.2f}")
        if self._coverage is not None:
            yield _text(", ".join(face["prediction_set"]))

    def _of_recordings(self) -> Table:
        """A row for each face of each recording: what it shows most, and in how many frames."""
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for name in ("recording", "face", "frames", "mostly", "of the time", "next", "quality"):
            table.add_column(name, overflow="fold", no_wrap=name != "recording")
        for source, tracks in self._shown.items():
            file = _text(Path(source).name)
            if not tracks:
                table.add_row(file, Text("no face", "dim"))
            for track, shown in tracks.items():
                number = "" if track is None else str(track)
                table.add_row(file, number, str(shown.tops.total()), *self._shares(shown))
        return table

    def _shares(self, shown: _Shown) -> Iterator[Text]:
        frames = shown.tops.total()
        (label, most), *others = shown.tops.most_common(2)
        full = round(most / frames * _BAR)
        bar = Text(self._bar[0] * full, "green") + Text(self._bar[1] * (_BAR - full), "dim")
        yield Text(label, "bold")
        yield bar + f" {_percent(most / frames):>4}"
        yield Text("".join(f"{name} {_percent(count / frames)}" for name, count in others), "dim")
        yield Text(f"{shown.quality / frames:.2f}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._table.rows:
            self._console.print(self._table)
        if self._shown:
            self._console.print(self._of_recordings())
        if self._unsure:
            self._console.print(
                "? uncertain: too close to call, or too poor a picture", style="dim"
            )


@dataclass(slots=True)
class _Shown:
    """What one face showed in the frames it was seen in."""

    tops: Counter[str] = field(default_factory=Counter)
    quality: float = 0.0

    def add(self, face: Record) -> None:
        self.tops[face["top"]] += 1
        self.quality += face["picture_quality"]


def _percent(probability: float) -> str:
    """A probability for people; nothing is ever quite sure, or quite impossible.

    >>> [_percent(p) for p in (0.00001, 0.014, 0.5, 0.994, 0.99999)]
    ['<1%', '1%', '50%', '99%', '>99%']
    """
    if probability < 0.01:
        return "<1%"
    return ">99%" if probability > 0.995 else f"{probability:.0%}"


def progress(records: Iterable[Record], total: int) -> Iterator[Record]:
    """The same records, with a bar on stderr that vanishes in the end."""
    columns = BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress("analysing", *columns, console=Console(stderr=True), transient=True) as bar:
        yield from bar.track(records, total)


def frames_progress(records: Iterable[Record], jobs: int, reached: Reached) -> Iterator[Record]:
    """The same records, with a bar for the recording at hand: frames a second, and time left."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        source, task = None, TaskID(-1)
        for record in records:
            if record["source"] != source:
                if source is not None:
                    bar.remove_task(task)
                source = record["source"]
                job = min(reached.jobs + 1, jobs)
                which = f"  {job} of {jobs}" if jobs > 1 else ""
                task = bar.add_task(escape(_text(Path(source).name).plain) + which, rate="")
            speed = bar.tasks[0].speed
            rate = f"{speed:.0f} frames/s" if speed else ""
            bar.update(task, advance=1, total=reached.expected, rate=rate)
            yield record


def key_values(rows: Sequence[tuple[str, ...]], header: Sequence[str] = ()) -> None:
    """Plain aligned columns on stdout."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=bool(header), header_style="dim")
    for name in header or [""] * len(rows[0]):
        table.add_column(_text(name), overflow="fold")  # a model's, or a column's: no markup
    for row in rows:
        table.add_row(*map(_text, row))
    _console().print(table)


def models(specs: Iterable[WeightSpec]) -> None:
    """What ``mien models list`` shows: a line per model, and under it where and whose it is."""
    console = _console()
    for spec in specs:
        console.print(Text(f"{spec.name:<22}", "bold") + Text(spec.kind, "dim"))
        for line in (
            spec.about,
            f"licence: {spec.licence}",
            f"trained on: {spec.trained_on}",
            f"commercial use: {spec.commercial}",
            f"file: {_whereabouts(spec)}",
        ):
            console.print(Padding(_text(line), (0, 0, 0, 4), expand=False))


def own_models(files: Mapping[str, Path]) -> None:
    """The rest of ``mien models list``: files that are no row of the catalogue, as they say."""
    from ..expression.recognize import load_model

    console = _console()
    for name, path in files.items():
        try:
            info = load_model(path).info
        except ModelError as err:
            lines = [f"cannot be used: {err}"]
        else:
            lines = [
                str(info.card.get("about", "a model of your own")),
                f"answers: {', '.join(info.label_set.labels)}",
                f"licence: {info.card.get('licence', 'not said')}",
            ]
        console.print(Text(f"{name:<22}", "bold") + Text(" recognizer, your own", "dim"))
        for line in (*lines, f"file: {path}"):
            console.print(Padding(_text(line), (0, 0, 0, 4), expand=False))


def _whereabouts(spec: WeightSpec) -> str:
    path = catalogue.locate(spec)
    if path is None:
        how = f"mien models {f'pull {spec.name}' if spec.url else f'import {spec.name} FILE'}"
        return f"not here; {how}"
    try:
        catalogue.read(spec)
    except ModelError:
        return f"damaged: {path}"
    return str(path)


def markdown(text: str) -> None:
    """Markdown, set for a reader on a terminal; as it is into a pipe."""
    console, text = _console(), plain(text)
    if console.is_terminal:
        console.print(Markdown(text))
    else:
        print(text, end="")


def summary(recordings: Sequence[Recording], rule: Rule) -> None:
    """What ``mien summary`` found: a row for each face, and its episodes as counts."""
    from ..results.summary import episodes, shares

    rows = []
    for recording in recordings:
        for _, track in sorted(recording.tracks.items()):
            face = shares(recording, track)
            parts = sorted(((face[k], k) for k in recording.labels), reverse=True)[:3]
            often = Counter(e.label for e in episodes(recording, track, rule))
            rows.append(
                (
                    Path(recording.source).name,
                    str(track.number),
                    f"{face['seen_s']:.1f} s",
                    ", ".join(f"{name} {_percent(p)}" for p, name in parts if p > 0),
                    ", ".join(f"{count} {label}" for label, count in often.most_common()),
                    _left_open(face["set_size"], face["set_single"]),
                )
            )
        if not recording.tracks:
            rows.append((Path(recording.source).name, "", "", "no face", "", ""))
    heads = ("recording", "face", "seen", "of the time", "episodes", "expressions in a set")
    width = len(heads) if any(row[-1] for row in rows) else len(heads) - 1
    key_values([row[:width] for row in rows], heads[:width])


def _left_open(size: float | None, single: float | None) -> str:
    """How many expressions prediction sets leave; nothing where there are none."""
    return "" if size is None or single is None else f"{size:.2f}, one {_percent(single)} of it"


_FEW = 10  # pictures of a label
_NAMED = 10  # people that a line names


class TrainingBar:
    """A sentence per epoch on stderr, and on a terminal a bar below them."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.4f}"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task("train", epoch=0, loss=0.0, total=None)

    def __enter__(self) -> TrainingBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def say(self, text: str) -> None:
        if self.console.is_terminal:
            self.console.print(_text(text))
        else:
            say(text)

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        self.bar.start()  # only now: of several processes, one alone takes steps here
        self.bar.update(self.task, completed=step + 1, total=steps, epoch=epoch + 1, loss=loss)

    def epoch(self, record: dict[str, Any]) -> None:
        held = ", ".join(f"{k.replace('_', ' ')} {v:.4f}" for k, v in record["select"].items())
        self.say(
            f"epoch {record['epoch'] + 1} of {record['of']}: loss {record['loss']:.4f}; held back: "
            f"{held}; {record['images_per_s']:.0f} pictures a second"
        )


_DOES = {
    "train": "train",
    "select": "choose the epoch and calibrate",
    "test": "test: the figures are of the others",
}


def trained(report: dict[str, Any]) -> None:
    """What a folder's model was trained on, what was left out, and what the model is worth."""
    faces, split = report["faces"], report["split"]
    for file, reason in faces["unreadable"].items():
        say(f"left out {file}: {reason}")
    for file in faces["no_face"]:
        say(f"left out {file}: no face found")
    left_out = len(faces["unreadable"]) + len(faces["no_face"])
    whole = f", {faces['whole']} of them whole pictures" if faces["whole"] else ""
    say(f"{faces['faces']} faces{whole}; {left_out} pictures left out")
    for label, count in report["labels"].items():
        few = "  (too few to learn from, or to tell how well)" if count < _FEW else ""
        say(f"  {label}: {count}{few}")
    for reason in faces["left_out"].values():
        say(f"left out: {reason}")
    if report["weights"] == "last":
        say(
            f"the last epoch's weights: {split['rows']['select']} pictures are few to choose one by"
        )
    if split.get("as_seed"):
        say(
            f"split.seed = {split['seed']} tests the same people as split.seed = "
            f"{split['as_seed']}: so few can be dealt evenly in few ways only; to test each of "
            "them once: --set split.folds=5 --set split.fold=0, then 1, 2, 3, 4"
        )
    for side, labels in split["labels_missing"].items():
        say(f"no picture of {', '.join(labels)} among those that {_DOES[side]}")
    apart = "held back"
    if split["by"] == "subject":
        apart = f"of other people{_few_names(split['tested'])}"
    for name, figures in report["figures"].items():
        low, high = figures["accuracy_ci95"]
        say(
            f"{name}: {figures['accuracy']:.1%} right [{low:.1%}, {high:.1%}], balanced "
            f"{figures['balanced_accuracy']:.1%}, on {figures['n']} pictures {apart}"
        )


def _few_names(people: Sequence[str]) -> str:
    """Who it was, in brackets; nothing of many."""
    return f" ({', '.join(people)})" if len(people) <= _NAMED else ""


def evaluation(result: dict[str, Any]) -> None:
    """What ``mien evaluate`` found: a line per base-rate setting, then recall per class."""
    data = result["data"]
    say(f"{result['model']['name']} on {data['name']} {data['split']}")
    for label, count in result["left_out"].items():
        say(f"left out: {count} {label}")
    unseen = [label for label in result["model"]["labels"] if label not in result["labels"]]
    if unseen:
        say(
            f"asked which of {', '.join(result['labels'])} each face shows: no picture shows "
            f"{', '.join(unseen)}"
        )
    if result["detector"]:
        say(f"no face found by {result['detector']['name']}: {result['missed']}")
    results = result["results"]
    key_values(list(_evaluation_rows(results)), ("", *(_rates_name(r) for r in results)))
    for told in (r["prediction_sets"] for r in results if "prediction_sets" in r):
        rows = [(promised, *_set_cells(one, float(promised))) for promised, one in told.items()]
        key_values(rows, ("prediction sets", *_SET_HEADS))
    if strengths := results[0].get("intensity"):  # the same at all base rates
        key_values(list(_strengths(strengths)), ("intensities", "RMSE (95 %)", "of the mean"))
    names = [_rates_name(r) for r in results]
    classes = [
        (label, *(f"{e['per_class'][label]['recall']:.3f}" for e in results))
        for label in results[0]["per_class"]
    ]
    key_values(classes, ("recall", *names))
    for entry in results:
        if "by" in entry:
            _groups(entry["by"], "" if len(results) == 1 else f", {_rates_name(entry)}")


def _strengths(told: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """How far intensities are from the raters', and how far always answering their mean is."""
    for name, figures in {"all": told["overall"], **told["per_label"]}.items():
        low, high = figures["rmse_ci95"]
        mean = f"{figures['rmse_of_mean']:.3f}"
        yield name, f"{figures['rmse']:.3f} ({low:.3f}-{high:.3f})", mean


def _groups(told: dict[str, Any], rates: str) -> None:
    """Figures by group: a line each, then the largest gap and whether it may be chance."""
    over = ", ".join(told["balanced_over"])

    def balanced(figures: dict[str, Any]) -> str:
        if figures["balanced_accuracy"] is None:
            return ""
        low, high = figures["balanced_accuracy_ci95"]
        return f"{figures['balanced_accuracy']:.3f} ({low:.3f}-{high:.3f})"

    def count(figures: dict[str, Any]) -> tuple[str, ...]:
        known = figures["people"]
        return (f"{figures['n']:,}",) if known is None else (f"{figures['n']:,}", f"{known:,}")

    rows = [
        (name, *count(figures), _share(figures), balanced(figures))
        for name, figures in told["groups"].items()
    ]
    counted = ("n", "people")[: len(rows[0]) - 3]
    heads = (*counted, "accuracy (95 %)", "balanced (95 %)" if over else "")
    key_values(rows, (f"by {told['column']}{rates}", *heads))
    if over:
        say(f"balanced: over the expressions that every group has: {over}")
    for measure, gap in told["gap"].items():
        low, high = gap["gap_ci95"]
        say(
            f"largest gap, {measure.replace('_', ' ')}: {gap['best']} over {gap['worst']} by "
            f"{gap['gap']:.3f} ({low:.3f} to {high:.3f}); chance alone gives as much in "
            f"{_percent(gap['by_chance'])} of deals"
        )


def stressed(result: dict[str, Any]) -> None:
    """What ``mien evaluate --stress`` found: accuracy, a line per level, a column per model."""
    data, models = result["data"], list(result["results"])
    say(f"{data['name']} {data['split']}, {data['n']} pictures")
    rows = [("clean", "", *(_share(result["results"][m]["clean"]) for m in models))]
    for condition, about in result["conditions"].items():
        curves = [result["results"][model][condition] for model in models]
        for points in zip(*curves, strict=True):
            if (level := points[0]["level"]) is not None:
                rows.append((condition, str(level), *map(_share, points)))
        say(f"{condition}: {about['unit']}")
    key_values(rows, ("accuracy (95 %)", "level", *models))


def panel(result: dict[str, Any]) -> None:
    """What ``mien evaluate --panel`` found: a line per set and model, at the default rates."""
    rows = []
    for name in result["sets"]:
        for model in result["models"]:
            told = model["sets"][name]
            figures = by_default(told["by_strength"])
            low, high = figures["balanced_accuracy_ci95"]
            rows.append(
                (
                    name,
                    model["name"],
                    told["role"],
                    f"{figures['n']:,}",
                    f"{told['missed']}",
                    f"{figures['balanced_accuracy']:.3f} ({low:.3f}-{high:.3f})",
                    f"{figures['macro_f1']:.3f}",
                    _share(figures),
                    f"{figures['majority_baseline']:.3f}",
                )
            )
    heads = ("set", "model", "it was", "n", "no face", "balanced (95 %)", "macro-F1")
    key_values(rows, (*heads, "accuracy (95 %)", "always the commonest"))
    if sets := list(_set_rows(result)):
        key_values(sets, ("set", "model", "it was", "prediction sets", *_SET_HEADS))
    unseen = ", ".join(result["unseen_sets"]) or "none"
    say(f"seen by no model, as far as is known: {unseen}")
    turned = [
        (model["name"], strength, f"{value:.3f}")
        for model in result["models"]
        for strength, value in (model["unseen"] or {}).items()
    ]
    if turned:
        key_values(turned, ("model", "turned to equal rates", "balanced, mean of these"))


def calibrated_sets(known: dict[str, Any]) -> None:
    """What the prediction sets of a model file are worth, from its metadata."""
    for promised, one in (known["checked"] or {}).items():
        say(
            f"prediction sets of {float(promised):.0%}: {one['coverage']:.1%} held the raters' "
            f"answer, {one['size']:.2f} expressions in one; each face left out of the fit in turn"
        )


def _set_rows(result: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """What the models' prediction sets are worth on each set of a panel."""
    for name in result["sets"]:
        for model in result["models"]:
            told = model["sets"][name]
            for promised, one in (told["prediction_sets"] or {}).items():
                where = name, model["name"], told["role"], promised
                yield (*where, *_set_cells(one, float(promised)))


def _set_cells(one: dict[str, Any], promised: float) -> tuple[str, ...]:
    low, high = one["coverage_ci95"]
    short = "" if metrics.holds(one, promised) else "  not as promised"
    return f"{one['coverage']:.3f} ({low:.3f}-{high:.3f}){short}", f"{one['size']:.2f}"


_SET_HEADS = ("hold the raters' answer (95 %)", "expressions in a set")


def _share(point: dict[str, Any]) -> str:
    low, high = point["accuracy_ci95"]
    return f"{point['accuracy']:.3f} ({low:.3f}-{high:.3f})"


def audit(result: dict[str, Any]) -> None:
    """What ``mien data audit`` found: repeats, then what crosses from split to split."""
    exact, near = result["exact"], result["near"]
    key_values(
        [
            ("rows", f"{result['rows']:,}", f"{result['pictures']:,} distinct pictures"),
            ("exact duplicates", f"{exact['pictures']:,}", f"pictures, in {exact['rows']:,} rows"),
            ("", f"{exact['conflicting']:,}", "of them with labels that contradict each other"),
            *_near_rows(near),
        ]
    )
    if result["across"]:
        rows = [
            (
                a["split"],
                a["other"],
                *("-" if a[k] is None else f"{a[k]:,}" for k in _CROSSING),
            )
            for a in result["across"]
        ]
        key_values(rows, ("rows of", "also in", *_CROSSING.values()))


_CROSSING = {
    "exact": "exact",
    "near": "near",
    "either": "either",
    "copies": "augmented copies",
    "sequences": "sequences in both",
    "subjects": "people in both",
}


def _near_rows(near: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    kind = f"pairs (correlation {near['threshold']}+)"
    if not near["counted"]:
        yield ("near duplicates", "not counted", f"too many {kind}: frames of one film?")
        return
    yield ("near duplicates", f"{near['pairs']:,}", kind)
    yield ("", f"{near['conflicting']:,}", "of them with labels that contradict each other")


def stats(result: dict[str, Any]) -> None:
    """What ``mien data stats`` found."""
    key_values(_flat({k: v for k, v in result.items() if k != "counts"}))
    counts = result["counts"]
    labels = list(dict.fromkeys(label for split in counts.values() for label in split))
    rows = [(label, *(f"{split.get(label, 0):,}" for split in counts.values())) for label in labels]
    key_values(rows, ("label", *counts))


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested dictionaries as (dotted key, value) rows."""
    rows = []
    for key, value in values.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            several = value if isinstance(value, tuple) else (value,)
            text = "  ".join(f"{v:.4f}" if isinstance(v, float) else str(v) for v in several)
            rows.append((prefix + str(key), text))
    return rows


def _rates_name(result: dict[str, Any]) -> str:
    rates = result["base_rates"]
    return str(rates["target"]) + (
        "" if rates["target"] == "training" else f" {rates['strength']:g}"
    )


def _evaluation_rows(results: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    """A row per figure, a column per base-rate setting."""

    def with_interval(r: dict[str, Any], key: str) -> str:
        low, high = r[f"{key}_ci95"]
        return f"{r[key]:.4f} ({low:.3f}-{high:.3f})"

    yield ("faces", *(str(r["n"]) for r in results))
    yield ("accuracy (95 %)", *(with_interval(r, "accuracy") for r in results))
    for key, kind in SUBSETS.items():
        if key in results[0]:
            name = f"  {kind}, n {results[0][key]['n']}"
            yield (name, *(with_interval(r[key], "accuracy") for r in results))
    yield ("always the most frequent", *(f"{r['majority_baseline']:.4f}" for r in results))
    yield ("balanced accuracy (95 %)", *(with_interval(r, "balanced_accuracy") for r in results))
    plain = {
        "balanced_accuracy_without_contempt": "  without contempt",
        "macro_f1": "macro-F1",
        "ece": "calibration error (ECE)",
    }
    for key, name in plain.items():
        if key in results[0]:
            yield (name, *(f"{r[key]:.4f}" for r in results))
