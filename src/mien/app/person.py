"""``mien person``: recognisers of one person each, from recording to deleting."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigError, DataError
from ..files import write
from .files import ready_for
from .terminal import say, tell

if TYPE_CHECKING:
    from ..person.people import Person
    from ..person.samples import Taken, Taker

app = typer.Typer(
    help="One person's own recogniser: record, train, test, export, delete.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The person, by any name you like.")]
Kind = Annotated[
    str,
    typer.Option(
        "--with",
        metavar="head|mouth|both",
        help="head: a new last layer on the default model. mouth: a network on the mouth alone, "
        "which needs the extra train. both: the two together.",
    ),
]


@app.command("record")
def person_record(
    name: Name,
    stimuli: Annotated[
        Path | None,
        typer.Argument(metavar="[STIMULI]", help="A folder per emotion of pictures and videos."),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="DIR",
            help="Take the faces from pictures and videos instead of a session: a folder for "
            "each emotion.",
        ),
    ] = None,
    consent: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Who consents, in words ('Ann, for herself'). They are kept with the date.",
        ),
    ] = None,
    emotion: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="An expression to bring about, by the name of its folder of stimuli. May be "
            "repeated. If you do not say: joy, disgust and neutral.",
        ),
    ] = None,
    count: Annotated[
        int, typer.Option(metavar="N", min=1, help="At most so many stimuli of each.")
    ] = 4,
    camera: Annotated[
        str, typer.Option(metavar="N|FILE", help="A camera's number, or a video in its place.")
    ] = "0",
    crops: Annotated[
        bool, typer.Option("--crops", metavar="", help="With --from: each picture is one face.")
    ] = False,
) -> None:
    """Collect samples of one person's expressions: in a session before a camera, or from files.

    In a session the stimuli are shown one by one, none of them ever twice to the same person, and
    three pictures a second are kept while the face is well seen. Afterwards each can be kept,
    dropped or relabelled. All of it stays in one folder of MIEN_HOME.
    """
    from ..analysis.pipeline import Analyzer, Settings
    from ..person import people
    from ..person.samples import Taker, from_folder

    if (stimuli is None) == (source is None):
        raise ConfigError(
            "a session needs a folder of stimuli (mien person record NAME STIMULI); files are "
            "taken with --from DIR; give one of them"
        )
    if crops and source is None:
        raise ConfigError("--crops is for pictures that are taken with --from DIR")
    analyzer = Analyzer(Settings(crops=crops))
    agreed = _consent(name, consent)
    with people.recorded_once(name, agreed), people.recorded(name, agreed) as whose:
        taker = Taker(whose, analyzer)
        lost = None
        if source is not None:
            taken = from_folder(taker, source)
        else:
            assert stimuli is not None
            lost = _session(taker, stimuli, emotion, count, camera)
            taken = taker.taken
        _told(whose, taken)
        _end(whose, taken, lost)


def _consent(name: str, given: str | None) -> str | None:
    """As given, or asked for at a terminal where this person has none yet."""
    from ..errors import MienError
    from ..person import people

    if given is not None or not sys.stdin.isatty():
        return given
    try:
        agreed = bool(people.get(name).consents)
    except MienError:
        agreed = False
    if agreed:
        return None
    say(f"Pictures of {name} will be kept on this machine until they are deleted.")
    return str(typer.prompt("Who agrees to that, and for whom", err=True))


def _session(
    taker: Taker, folder: Path, emotions: list[str] | None, count: int, camera: str
) -> str | None:
    """Show, record and review; why the camera gave out, if it did."""
    import random

    from ..person import session

    person = taker.person
    chosen = session.choose(
        person, folder, emotions or session.DEFAULT_EMOTIONS, count, random.Random()
    )
    frames = session.camera(camera)
    stimuli = "1 stimulus" if len(chosen) == 1 else f"{len(chosen)} stimuli"
    say(f"{stimuli}; Ctrl-C ends the session, and keeps what was recorded")
    lost = None
    try:
        lost = session.run(taker, chosen, frames, session.player(say), say).lost
    except KeyboardInterrupt:
        say("ended; what was recorded is kept")
    finally:
        frames.close()  # type: ignore[attr-defined]
    if sheet := session.keep_sheet(person, taker.taken.samples):
        say(f"contact sheet: {sheet}")
        _review(taker)
    return lost


def _review(taker: Taker) -> None:
    """Lines until an empty one, Ctrl-C, or the end of the input; the sheet follows each."""
    from ..person.session import keep_sheet, review

    person, samples = taker.person, taker.taken.samples
    say("keep, drop or relabel: 'drop 3 7-9', '4 = pain', or Enter to keep the rest")
    while True:
        print("> ", end="", file=sys.stderr, flush=True)
        try:
            read = sys.stdin.readline()
        except KeyboardInterrupt:
            read = ""
        if not read:  # the end of the input
            say("")
        if not (line := read.strip()):
            return
        try:
            say(review(person, samples, line))
            keep_sheet(person, samples)
        except ConfigError as err:
            say(f"mien: {err}")


def _told(person: Person, taken: Taken) -> None:
    from ..person.people import samples_in_words
    from ..person.train import FEW

    for file, reason in taken.unreadable.items():
        say(f"left out {file}: {reason}")
    if taken.left_out:
        say(f"left out: {_reasons(taken)}")
    person.check()
    counts = person.counts()
    for label, number in counts.items():
        few = f"  (few: {FEW} or more are better)" if number < FEW else ""
        say(f"  {label}: {number}{few}")
    say(f"{person.name}: {samples_in_words(counts.total())} in {person.folder}")


def _end(person: Person, taken: Taken, lost: str | None) -> None:
    """Raises where not all went well, or nothing came of it. lost : why the camera gave out."""
    from ..person.people import samples_in_words
    from ..person.samples import BEFORE

    if lost:
        had = samples_in_words(len(taken.samples))
        kept = f"; what came before that is kept: {had}" if taken.samples else ""
        say(f"mien: {lost}{kept}")
        raise typer.Exit(1)
    if not taken.samples and not taken.left_out[BEFORE]:
        raise DataError(f"no sample of {person.name} was taken: {_reasons(taken)}")
    if taken.unreadable:
        raise typer.Exit(1)


def _reasons(taken: Taken) -> str:
    return ", ".join(f"{n} {reason}" for reason, n in taken.left_out.items()) or "no pictures"


@app.command("train")
def person_train(name: Name, kind: Kind = "head") -> None:
    """Make a person's recogniser from their samples: seconds, without torch unless the mouth is
    asked for.
    """
    from ..person import people
    from ..person.train import few, train

    person = people.get(name)
    made = train(person, kind)
    for label, count in few([w for w, n in made["labels"].items() for _ in range(n)]).items():
        say(f"few samples of {label}: {count}")
    told = ", ".join(f"{label} {count}" for label, count in made["labels"].items())
    say(f"{told}; {made['stimuli']} stimuli")
    if made["general"]:
        say("the samples say nothing plain against the general model: its last layer stays")
    say(f"trained in {made['seconds']:.1f} s, {made['bytes'] / 1e6:.1f} MB")
    how = "" if kind == "head" else f" --with {kind}"
    say(f"try it with: mien person test '{person.name}'{how}")


@app.command("test")
def person_test(
    name: Name,
    kind: Kind = "head",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Write the result as JSON to this file (.json).",
            callback=ready_for(".json"),
        ),
    ] = None,
) -> None:
    """Tell how good a person's recogniser is on stimuli it was not trained on, before and after.

    Whole stimuli are held out, never single frames of one.
    """
    import json

    from ..person import people
    from ..person.train import tested
    from . import console

    result = tested(people.get(name), kind)
    if out:
        write(out, (json.dumps(result, indent=2, ensure_ascii=False) + "\n").encode())
    console.key_values(list(_rows(result)), ("", "accuracy (95 %)", "balanced (95 %)"))
    low, high = result["gain"]["accuracy_ci95"]
    say(
        f"gain in accuracy {result['gain']['accuracy']:+.3f} ({low:+.3f} to {high:+.3f}), on "
        f"{result['samples']} samples of {result['stimuli']} stimuli"
    )
    for label in result["one_stimulus"]:
        say(f"{label} has one stimulus: while that is held out it cannot be told, and counts wrong")
    if low <= 0:
        say("no gain is shown, or it may be chance: record more stimuli before you rely on it")


def _rows(result: dict[str, Any]) -> list[tuple[str, ...]]:
    names = {
        "general": "general model",
        "baseline": "general, neutral taken off",
        "personal": f"personal ({result['kind']})",
    }
    most = f"{result['majority_baseline']:.3f}"
    rows: list[tuple[str, ...]] = [("always the most frequent", most, "")]
    for key, name in names.items():
        found = result["results"][key]
        cells = []
        for measure in ("accuracy", "balanced_accuracy"):
            low, high = found[f"{measure}_ci95"]
            cells.append(f"{found[measure]:.3f} ({low:.3f}-{high:.3f})")
        rows.append((name, *cells))
    for label in result["labels"]:
        recalls = [found["recall"][label] for found in result["results"].values()]
        rows.append((f"  {label}", f"recall {recalls[0]:.2f} -> {recalls[-1]:.2f}", ""))
    return rows


@app.command("list")
def person_list() -> None:
    """List who is known, with how many samples, which recogniser, and whose consent."""
    from ..person import people
    from ..person.train import kinds
    from . import console

    rows, damaged = [], list[DataError]()
    for person in people.everyone(damaged):
        try:
            counts = person.counts()
        except DataError as err:
            damaged.append(err)
            continue
        told = ", ".join(f"{label} {count}" for label, count in counts.items()) or "no samples"
        agreed = person.consents[-1] if person.consents else None
        consent = f"{agreed.text} ({agreed.date[:10]})" if agreed else "none"
        rows.append((person.name, told, " and ".join(kinds(person)) or "not trained", consent))
    if rows:
        console.key_values(rows, ("name", "samples", "recogniser", "consent"))
    elif not damaged:
        say("nobody yet; begin with: mien person record NAME")
    for fault in damaged:
        say(f"mien: {fault}")
    if damaged:
        raise typer.Exit(1)


@app.command("export")
def person_export(
    name: Name,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="FILE", help="The .zip to write.", callback=ready_for(".zip")
        ),
    ],
) -> None:
    """Write all that is kept of a person into one ZIP file."""
    from ..person import people

    tell(people.export(people.get(name), out))


@app.command("import")
def person_import(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="The .zip of mien person export, or of the page."),
    ],
) -> None:
    """Bring in a person whom another machine, or a browser, has exported."""
    from ..person import people

    person = people.bring(file)
    told = ", ".join(f"{label} {count}" for label, count in person.counts().items())
    say(f"{person.name} is here: {told or 'no samples'}")


@app.command("delete")
def person_delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", metavar="", help="Do not ask.")] = False,
) -> None:
    """Delete all that is kept of a person: pictures, recogniser, consents, what they saw."""
    from ..person import people

    person = people.get_to_delete(name)
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError(f"add --yes to delete {person.name} without being asked")
        typer.confirm(f"Delete all of {person.name}, for good?", abort=True, err=True)
    people.delete(person)
    say(f"{person.name} is deleted; what was exported before is yours to delete")
