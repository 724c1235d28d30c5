"""A guided session: stimuli are shown one by one while a camera looks at whoever watches them.

The same stimulus is never shown twice to the same person, in any session: what was shown is known
by its content, and noted before it is shown.
"""

from __future__ import annotations

import difflib
import math
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from ..data.sheet import Strip, strips
from ..data.table import png
from ..errors import ConfigError, DataError, ImageError, VideoError
from ..face import Frame, ImageArray
from ..faces import align
from ..labels import CANONICAL
from ..media import image
from ..media.capture import SYSTEM, Camera, Control
from ..media.video import Hole, Span, Video
from .people import SHEET, Person, Sample, samples_in_words, word_of
from .samples import (
    FPS,
    Taken,
    Taker,
    content_hash,
    frames_of,
    is_recording,
    labelled_files,
    readable,
    recorded,
)

DEFAULT_EMOTIONS = ("happiness", "disgust", "neutral")
SECONDS = 6.0
"""How long a picture is shown; a video is shown to its end."""
LONGEST_S = 60.0
"""And no longer than this: a film must not make a session endless."""
WAIT_S = 15.0
"""So long a session waits for whoever is to be recorded; nothing is shown to an empty chair."""
_PER_ROW = 12  # pictures of a contact sheet
_SHOWN = 1.2  # of the face's box
_ROUNDING_S = 1e-6


@dataclass(frozen=True, slots=True)
class Stimulus:
    """Something to look at: a picture or a video, what it is meant to bring about, its SHA-256."""

    path: Path
    label: str
    digest: str

    @property
    def name(self) -> str:
        """As samples call it: the same content elsewhere is the same stimulus."""
        name = readable(f"{self.path.parent.name}/{self.path.name}")
        return f"{name}#{self.digest[:16]}"


def choose(
    person: Person, folder: Path, emotions: Sequence[str], count: int, rng: random.Random
) -> list[Stimulus]:
    """Up to ``count`` stimuli of each emotion that this person never saw, the emotions in turn.

    Raises DataError where the folder has none of an emotion, or the person saw all there are.
    """
    wanted = [word_of(emotion) for emotion in emotions]
    files = labelled_files(folder)
    there = sorted({word_of(label) for label, _ in files})
    missing = [label for label in wanted if label not in there]
    if missing:
        raise DataError(
            f"{folder} has no folder for {', '.join(missing)}, only for {', '.join(there)}; add "
            "one, or choose with --emotion"
        )
    new: dict[str, list[Stimulus]] = {label: [] for label in wanted}
    used = set(person.seen)
    for label, path in files:
        digest = content_hash(path)
        if word_of(label) in new and digest not in used:
            used.add(digest)  # two copies of one file are one stimulus
            new[word_of(label)].append(Stimulus(path, word_of(label), digest))
    if not any(new.values()):
        raise DataError(
            f"{person.name} saw everything in {folder}; nothing is shown twice, so add new ones"
        )
    for stimuli in new.values():
        rng.shuffle(stimuli)
    turns = zip_longest(*(stimuli[:count] for stimuli in new.values()))
    return [stimulus for turn in turns for stimulus in turn if stimulus is not None]


class Player(Protocol):
    """Shows stimuli."""

    def begin(self, stimulus: Stimulus) -> float:
        """Show it; how long it takes, in seconds. Raises ImageError or VideoError."""

    def end(self) -> None:
        """Take it away."""


class Announcer:
    """Says which stimulus is on, for where there is no screen to show it on."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def begin(self, stimulus: Stimulus) -> float:
        seconds = duration_s(stimulus.path)
        self._say(f"{stimulus.label}: {stimulus.path.name}")
        return seconds

    def end(self) -> None:
        pass


class Window(Announcer):
    """Shows stimuli in full screen by FFmpeg's ffplay."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(say)
        self._shown: subprocess.Popen[bytes] | None = None

    def begin(self, stimulus: Stimulus) -> float:
        seconds = super().begin(stimulus)
        # No pattern: smile%2d.png is one picture, not the first of many.
        picture = ["-pattern_type", "none", "-loop", "1"]
        still = [] if is_recording(stimulus.path) else picture
        words = ["ffplay", "-fs", "-autoexit", "-loglevel", "quiet", "-t", f"{seconds:.3f}"]
        self._shown = subprocess.Popen(
            [*words, *still, "-i", str(stimulus.path.resolve())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return seconds

    def end(self) -> None:
        if self._shown is not None:
            self._shown.terminate()
            self._shown.wait()
            self._shown = None


class Terminal(Announcer):
    """Draws a picture, or a video's first frame, with half blocks in the terminal's colours.

    It has the screen for itself, and leaves it empty.
    """

    def begin(self, stimulus: Stimulus) -> float:
        frame = next(frames_of(stimulus.path), None)
        self.end()
        seconds = super().begin(stimulus)
        if frame:
            size = shutil.get_terminal_size()
            sys.stderr.write(blocks(frame.rgb, size.columns, size.lines - 2))
            sys.stderr.flush()
        return seconds

    def end(self) -> None:
        sys.stderr.write("\x1b[H\x1b[2J")
        sys.stderr.flush()


def player(say: Callable[[str], None]) -> Player:
    """What can show stimuli here: a window, the terminal, or words."""
    screen = sys.platform in ("win32", "darwin") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    if screen and shutil.which("ffplay"):
        return Window(say)
    return Terminal(say) if sys.stderr.isatty() else Announcer(say)


def blocks(picture: ImageArray, columns: int, lines: int) -> str:
    """A picture as text in 24-bit colours, two pixels above each other in a character."""
    height, width = picture.shape[:2]
    scale = min(columns / width, 2 * max(lines, 1) / height)
    size = max(1, round(width * scale)), 2 * max(1, round(height * scale / 2))
    small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    rows = []
    for upper, lower in zip(small[::2], small[1::2], strict=True):
        cells = [
            f"\x1b[38;2;{a[0]};{a[1]};{a[2]};48;2;{b[0]};{b[1]};{b[2]}m▀"
            for a, b in zip(upper, lower, strict=True)
        ]
        rows.append("".join(cells) + "\x1b[0m\n")
    return "".join(rows)


def duration_s(path: Path) -> float:
    """How long a stimulus is shown; raises ImageError or VideoError where it cannot be read."""
    if not is_recording(path):
        image.read_file(path)
        return SECONDS
    with Video(path) as video:
        return min(LONGEST_S, video.info.duration_s or LONGEST_S)


def camera(given: str) -> Iterator[Frame]:
    """Frames of a camera by its number, or of a recording in its place.

    Raises VideoError where there is no such camera; ends where it is lost: whoever
    watches has seen the stimulus by the time it comes back.
    """
    if not given.isdecimal():
        yield from recorded(Path(given), Span())
        return
    for item in Camera(int(given)).frames(SYSTEM, Control()):
        if isinstance(item, Hole):
            return
        yield item


@dataclass(slots=True)
class Outcome:
    """What a session came to. shown : stimuli.

    lost : why it ended before its time: the camera gave out, or nobody was there; None if it went
        to its end.
    unreadable : stimuli that could not be shown, and why.
    """

    taken: Taken
    shown: int = 0
    lost: str | None = None
    unreadable: int = 0


def run(
    taker: Taker,
    stimuli: Sequence[Stimulus],
    frames: Iterator[Frame],
    shows: Player,
    say: Callable[[str], None],
) -> Outcome:
    """Show stimuli and take samples; what was taken is kept whatever happens.

    A sample is taken ``FPS`` times a second of the camera's own time, where the face is well seen.
    """
    outcome = Outcome(taker.taken)
    for stimulus in stimuli:
        outcome.lost = _nobody(taker, frames, say)
        if outcome.lost is not None:
            break
        taker.person.saw(stimulus.digest)
        try:
            seconds = shows.begin(stimulus)
        except (ImageError, VideoError) as err:
            outcome.unreadable += 1
            say(f"left out {stimulus.path.name}: {err}")
            continue
        before, left_out = len(taker.taken.samples), taker.taken.left_out.copy()
        try:
            outcome.lost = _watch(taker, stimulus, frames, seconds)
        finally:
            shows.end()
        outcome.shown += 1
        count = len(taker.taken.samples) - before
        missed = [f"{n} {why}" for why, n in (taker.taken.left_out - left_out).items()]
        say(f"{stimulus.label}: {', '.join([samples_in_words(count), *missed])}")
        if outcome.lost is not None:
            break
    return outcome


def _nobody(taker: Taker, frames: Iterator[Frame], say: Callable[[str], None]) -> str | None:
    """Wait for one face, well seen; why that comes to nothing, if it does."""
    why = ""
    try:
        for frame in _sampled(frames, WAIT_S):
            found = taker.find(frame)
            if not isinstance(found, str):
                return None
            if not why:
                say(f"waiting: {found}")
            why = found
    except VideoError as err:
        return str(err)
    return (
        f"{why} before the camera for {WAIT_S:g} s: one person sits there, in good light; nothing "
        "is shown to nobody"
    )


def _watch(taker: Taker, stimulus: Stimulus, frames: Iterator[Frame], seconds: float) -> str | None:
    """Take samples for so long; why the camera gave out, if it did."""
    try:
        for frame in _sampled(frames, seconds):
            taker.take(frame, stimulus.label, stimulus.name)
    except VideoError as err:
        return str(err)
    return None


def _sampled(frames: Iterator[Frame], seconds: float) -> Iterator[Frame]:
    """``FPS`` frames a second of the next ``seconds``; raises VideoError where there are no more.

    The camera's own time counts.
    """
    begun, period = None, -1
    for frame in frames:
        begun = frame.time_s if begun is None else begun
        at = frame.time_s - begun
        if at >= seconds - _ROUNDING_S:
            return
        if (now := math.floor(at * FPS + _ROUNDING_S)) > period:
            period = now
            yield frame
    raise VideoError("the camera gives no more pictures")


def keep_sheet(person: Person, samples: Sequence[Sample]) -> Path | None:
    """Write the contact sheet of a session into the person's folder, None for an empty one.

    Raises OutputError, also where the person was deleted meanwhile.
    """
    there = {sample.id for sample in person.samples()}
    if any(sample.id in there for sample in samples):
        return person.write(SHEET, png(contact_sheet(person, samples)))
    (person.folder / SHEET).unlink(missing_ok=True)
    return None


def contact_sheet(person: Person, samples: Sequence[Sample]) -> ImageArray:
    """The samples of a session by label, each with its number from 1, (H, W, 3) uint8 RGB.

    Those that the person no longer has are left out, and the labels are those that stand now.
    """
    there = {sample.id: sample for sample in person.samples()}
    kept = [(n, there[s.id]) for n, s in enumerate(samples, 1) if s.id in there]
    lines = []
    for label in dict.fromkeys(sample.label for _, sample in kept):
        mine = [(n, s) for n, s in kept if s.label == label]
        for at in range(0, len(mine), _PER_ROW):
            part = mine[at : at + _PER_ROW]
            pictures = [_face(person, sample) for _, sample in part]
            words = [str(number) for number, _ in part]
            note = samples_in_words(len(mine)) if at == 0 else ""
            plain = label.encode("ascii", "replace").decode() if at == 0 else ""
            lines.append(Strip(plain, note, pictures, words, [False] * len(part)))
    return strips(lines, "keep, drop or relabel these")


def _face(person: Person, sample: Sample) -> ImageArray:
    return align.cut(person.picture(sample), align.box(sample.face.box, _SHOWN))


def review(person: Person, samples: Sequence[Sample], line: str) -> str:
    """Do what a line of a review says to samples numbered from 1; what was done, in words.

    ``drop 3 7-9`` or ``4 = pain`` or ``4-6 = pain``. Raises ConfigError for any other, OutputError
    where the person was deleted meanwhile.
    """
    person.check()
    numbers, equals, label = line.partition("=")
    words = numbers.replace(",", " ").split()
    there = {sample.id: sample.label for sample in person.samples()}
    if not equals and words[:1] == ["drop"]:
        chosen = [sample for sample in _chosen(words[1:], samples) if sample.id in there]
        for sample in chosen:
            person.drop(sample)
        return f"dropped {len(chosen)}"
    if equals:
        chosen, told = _chosen(words, samples), word_of(label)
        kept = [sample for sample in chosen if sample.id in there]
        known = {*CANONICAL, *there.values()}
        for sample in kept:
            person.relabel(sample, told)
        return f"relabelled {len(kept)} as {told}{'' if told in known else _new(told, known)}"
    raise ConfigError(f"write 'drop 3 7-9', '4 = pain', or nothing to keep the rest; got {line!r}")


def _new(word: str, known: Iterable[str]) -> str:
    """What to say of a word that nobody has used yet: it may be misspelt."""
    near = difflib.get_close_matches(word, sorted(known), n=1)
    return ", a new word" + (f"; if you meant {near[0]}, write it again" if near else "")


def _chosen(words: Sequence[str], samples: Sequence[Sample]) -> list[Sample]:
    found = list[Sample]()
    for text in words:
        first, dash, last = text.partition("-")
        numbers = [first, last] if dash else [first, first]
        if not all(number.isdecimal() for number in numbers):
            raise ConfigError(f"samples are named by their numbers on the sheet, got '{text}'")
        low, high = (int(number) for number in numbers)
        if not 1 <= low <= high <= len(samples):
            raise ConfigError(f"there are samples 1 to {len(samples)}, got '{text}'")
        found += samples[low - 1 : high]
    if not found:
        raise ConfigError("name at least one sample by its number on the sheet")
    return found
