"""What is seen, live, on a terminal: a block of bars per face, and how it goes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from math import degrees, isnan

from rich.console import Console, RenderableType
from rich.live import Live as Screen
from rich.style import Style
from rich.text import Text

from ..analysis.live import Live, Reading, Status
from ..face import Emotions, Face
from ..media.draw import COLORS
from . import keys

_LEAST = (40, 8)  # columns and rows
_FRAME_S = 1 / 40  # between two pages: no camera is quicker
_QUIET_S = 0.2  # between two looks at the clock while no picture comes
_LABEL, _PERCENT, _STRENGTH = 10, 6, 5  # columns of a label and of the two numbers
_BLOCK, _WIDEST, _GAP = 36, 64, 3  # columns of a face at least, at most, and between two
_CELL_S, _CELLS = 1.0, 120  # of the strip of what was seen
_EDGES = 5  # rows above and below the faces
_PARTS = " ▏▎▍▌▋▊▉█"  # eighths of a cell
_DIM, _BAD, _GOOD = Style(dim=True), Style(color="red", bold=True), Style(color="green")


class History:
    """The likeliest label of each face second by second, as far back as a terminal is wide."""

    def __init__(self) -> None:
        self._cells: dict[int, deque[tuple[int, str]]] = {}

    def note(self, reading: Reading) -> None:
        now = int(reading.taken_s / _CELL_S)
        for face in reading.faces:
            cells = self._cells.setdefault(face.track or 0, deque(maxlen=_CELLS))
            if not cells or cells[-1][0] != now:
                cells.append((now, _emotions(face).top[0]))
        for track, cells in list(self._cells.items()):
            if now - cells[-1][0] > _CELLS:
                del self._cells[track]

    def strip(self, face: Face, width: int) -> Text:
        """Its last seconds, the newest at the right; a second it was not seen is empty."""
        cells = dict(self._cells.get(face.track or 0, ()))
        last = max(cells, default=0)
        strip = Text()
        for cell in range(last - width + 1, last + 1):
            label = cells.get(cell)
            strip.append("▄" if label else " ", _style(label) if label else "")
        return strip


class Terminal:
    """Shows what is read until it ends or somebody quits; needs a terminal on stdout."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()

    def run(self, live: Live) -> None:
        history = History()
        reading: Reading | None = None
        size = self._console.size
        screen = Screen(
            console=self._console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        with keys.pressed(screen.stop, screen.start) as pressed, screen:
            while live.is_running:
                for key in pressed():
                    live.press(key)
                newest = live.newest(_QUIET_S)
                if newest:
                    reading = newest
                    history.note(reading)
                if (now := self._console.size) != size:
                    size = now
                    self._console.clear()
                drawn = page(live, reading, history, size.width, size.height)
                screen.update(drawn, refresh=True)
                if newest:
                    live.note_shown(newest)
                    live.clock.wait(live.control.stop, _FRAME_S)


def page(
    live: Live, reading: Reading | None, history: History, width: int, height: int
) -> RenderableType:
    """All that is on the terminal, as many rows as it has or fewer."""
    if width < _LEAST[0] or height < _LEAST[1]:
        need = f"{_LEAST[0]} x {_LEAST[1]}"
        return Text(f"terminal too small: {width} x {height}, needs {need}", overflow="fold")
    status, messages = live.status(), live.messages()
    top = [_head(status, reading, width), _figures(status, width), Text("─" * width, _DIM)]
    room = height - _EDGES - len(messages)
    alarms = [_cut(Text(f" {m} ", "bold white on red"), width) for m in messages]
    middle = alarms + _faces(reading, history, width, max(1, room))
    blank = [Text("")] * max(0, height - len(top) - len(middle) - 2)
    words = {key: word for key, (word, _) in live.keys.items()}
    if status.paused:
        words["p"] = "go on"
    lines = [*top, *middle, *blank, *_foot(status, words, width)]
    return Text("\n").join(lines[:height])


def _head(status: Status, reading: Reading | None, width: int) -> Text:
    line = Text("mien live  ", "bold")
    line.append(_plain(status.source))
    if reading:
        line.append(f"  {reading.frame.width} x {reading.frame.height}", _DIM)
        line.append(f"  {reading.frame.time_s:.1f} s", _DIM)
    state, style = "reading", _GOOD
    if status.paused:
        state, style = "paused", Style(color="yellow", bold=True)
    elif status.trouble or status.is_stale:
        state, style = f"no picture for {status.missing_s:.0f} s", _BAD
    return _with_right(line, Text(f"● {state}", style), width)


def _figures(status: Status, width: int) -> Text:
    line = Text(f"{status.fps:.1f} frames/s, {status.read_fps:.1f} read", _DIM)
    for name, (p50, p95) in (("read", status.read), ("shown", status.shown)):
        if not isnan(p50):
            line.append(f"  {name} after ", _DIM)
            line.append(f"{p50 * 1000:.0f}")
            line.append(" ms, p95 ", _DIM)
            line.append(f"{p95 * 1000:.0f}")
    return _cut(line, width)


def _foot(status: Status, words: dict[str, str], width: int) -> list[Text]:
    notice = status.trouble or (status.notices[-1] if status.notices else "")
    said = Text(_plain(notice), _BAD if status.trouble else Style(color="yellow"))
    line = Text()
    for key, word in words.items():
        line.append(f" {key} ", "reverse")
        line.append(f" {word}  ")
    return [_cut(said, width), _cut(line, width)]


def _faces(reading: Reading | None, history: History, width: int, room: int) -> list[Text]:
    """Blocks side by side where all faces have room for one, else a line each."""
    if reading is None:
        return [Text("waiting for the first picture", _DIM)]
    faces = reading.faces
    if not faces:
        return [Text("no face", _DIM)]
    across = min(max(1, (width + _GAP) // (_BLOCK + _GAP)), len(faces))
    each = min((width + _GAP) // across - _GAP, _WIDEST)
    blocks = [list(_block(face, history, each)) for face in faces]
    deep = max(len(block) for block in blocks) + 1
    if -(-len(faces) // across) * deep - 1 <= room:
        return _side_by_side(blocks, across, each)
    lines = [_line(face, width) for face in faces]
    if len(lines) > room:
        more = len(lines) - room + 1
        lines = [*lines[: room - 1], Text(f"and {more} more", _DIM)]
    return lines


def _side_by_side(blocks: Sequence[list[Text]], across: int, each: int) -> list[Text]:
    lines: list[Text] = []
    for first in range(0, len(blocks), across):
        row = blocks[first : first + across]
        if lines:
            lines.append(Text(""))
        for number in range(max(len(block) for block in row)):
            line = Text()
            for block in row:
                cell = block[number].copy() if number < len(block) else Text("")
                cell.truncate(each, overflow="ellipsis", pad=True)
                line.append_text(cell)
                line.append(" " * _GAP)
            line.rstrip()
            lines.append(line)
    return lines


def _block(face: Face, history: History, width: int) -> Iterator[Text]:
    """A face: what it shows most, a bar per label, intensities beside it, its last seconds."""
    emotions = _emotions(face)
    yield _name(face, width)
    bars = width - _LABEL - _PERCENT - 1
    strong = bars // 3 if face.intensity is not None else 0
    wide = bars - (strong + _STRENGTH + 1 if strong else 0)
    if strong:
        yield Text(f"{'':{_LABEL}} {'probability':<{wide + _PERCENT}} intensity", _DIM)
    for i, (label, share) in enumerate(emotions.as_dict().items()):
        line = Text(f"{label[:_LABEL]:<{_LABEL}} ")  # a person's own words may be longer
        line.append_text(_bar(share, wide, _style(label)))
        line.append(f"{_percent(share):>{_PERCENT - 1}} ")
        if face.intensity is not None:
            value = float(face.intensity.values[i])
            line.append_text(_bar(value, strong, _DIM))
            line.append(f"{value:{_STRENGTH}.2f}")
        yield line
    yield history.strip(face, width)


def _line(face: Face, width: int) -> Text:
    """A face where there is no room for a block."""
    label, share = _emotions(face).top
    return Text(" ").join([_bar(share, 10, _style(label)), _name(face, width - 11)])


def _name(face: Face, width: int) -> Text:
    """Its number, what it shows, and as much else as there is room for."""
    label, share = _emotions(face).top
    line = Text(f"face {face.track}  " if face.track else "face  ", _DIM)
    line.append(f"{label}{' ?' if face.uncertain else ''} ", _style(label) + Style(bold=True))
    line.append(_percent(share))
    more = []
    if face.intensity is not None:
        strength = face.intensity.as_dict()[label]
        more.append(f"  intensity {strength:.2f}")
    if face.picture_quality is not None:
        more.append(f"  picture quality {face.picture_quality:.2f}")
    if face.quality and face.quality.yaw_rad is not None:
        more.append(f"  turned {degrees(face.quality.yaw_rad):+.0f}°")
    for part in more:
        if line.cell_len + len(part) <= width:
            line.append(part, _DIM)
    return _cut(line, width)


def _emotions(face: Face) -> Emotions:
    assert face.emotions is not None, "a reading's faces are recognised"
    return face.emotions


def _bar(value: float, width: int, style: Style) -> Text:
    """``value`` in [0, 1] as a bar in eighths of a cell."""
    eighths = round(min(max(value, 0.0), 1.0) * width * 8)
    full, part = divmod(eighths, 8)
    bar = "█" * full + (_PARTS[part] if part else "")
    return Text(bar, style) + Text("·" * (width - len(bar)), _DIM)


def _percent(share: float) -> str:
    return f"{share:.0%}" if share < 0.995 else ">99%"


def _style(label: str) -> Style:
    red, green, blue = COLORS.get(label, (255, 255, 255))
    return Style(color=f"#{red:02x}{green:02x}{blue:02x}")


def _plain(text: str) -> str:
    """As it is: a file's name must not steer the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _cut(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    return line


def _with_right(line: Text, right: Text, width: int) -> Text:
    """A line with something at its right end, which stays whole."""
    line.truncate(max(0, width - right.cell_len - 1), overflow="ellipsis", pad=True)
    return _cut(Text(" ").join([line, right]), width)
