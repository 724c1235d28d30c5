"""What is seen, live, in a window: the picture with boxes and bars, and how it goes under it."""

from __future__ import annotations

import gc
from contextlib import suppress
from math import isnan
from typing import Any

from ..analysis.live import Live, Reading
from ..errors import OutputError
from ..face import ImageArray
from ..media import draw

_TICK_S = 0.01  # how long keys may wait while no picture comes
_GROUND, _INK, _QUIET, _BAD = "#14161a", "#ffffff", "#a0a4ac", "#ff6b5e"
_LEAST = (320, 240)  # pixels of the picture


def is_possible() -> bool:
    """Whether there is a screen, and what draws on it."""
    try:
        root = _root()
    except OutputError:
        return False
    root.destroy()
    return True


def _root() -> Any:
    """Tk's first window; raises OutputError where there can be none."""
    try:
        import tkinter
    except ImportError:
        raise OutputError(
            "a window needs Python's tkinter, which is not installed (on Debian: apt install "
            "python3-tk); --view terminal does without"
        ) from None
    try:
        return tkinter.Tk(className="mien")
    except tkinter.TclError as err:
        raise OutputError(f"no window can be opened: {err}; --view terminal needs none") from None


class Window:
    """Shows what is read until it ends or somebody quits, once.

    Raises OutputError without a screen.
    """

    def __init__(self) -> None:
        self._intensity = False  # what bars say: how strongly each label shows, or how likely it is
        self._root = root = _root()
        import tkinter  # here, as _root says it where there is none

        root.configure(background=_GROUND)
        root.minsize(*_LEAST)
        self._alarm = tkinter.Label(
            root, background="#b3261e", foreground=_INK, font=("TkDefaultFont", 16, "bold")
        )
        self._status = tkinter.Label(
            root, background=_GROUND, foreground=_QUIET, anchor="w", justify="left"
        )
        self._status.pack(side="bottom", fill="x", padx=8, pady=4)
        self._picture = tkinter.Label(root, background=_GROUND, borderwidth=0)
        self._picture.pack(expand=True, fill="both")
        self._shown: Any = None
        self._told, self._alarms = ("", ""), tuple[str, ...]()

    def run(self, live: Live) -> None:
        root = self._root
        root.title(f"mien live - {live.source.name}")
        root.protocol("WM_DELETE_WINDOW", live.quit)
        root.bind("<Key>", lambda event: live.press(event.char or ""))
        root.bind("<Escape>", lambda event: live.quit())
        if live.analyzer.recognizer.info.strengths is not None:
            live.keys = {"i": ("intensities", self._turn), **live.keys}
        first = True
        try:
            while live.is_running:
                reading = live.newest(_TICK_S)
                if reading:
                    if first:
                        self._fit(reading)
                        first = False
                    self._show(reading)
                self._tell(live)
                root.update()
                if reading:
                    live.note_shown(reading)
        finally:
            with suppress(Exception):  # the screen may be gone
                root.destroy()
            # Tk ends the process where its objects, in cycles as they are, end in another thread.
            vars(self).clear()
            del root
            gc.collect()

    def _turn(self) -> None:
        self._intensity = not self._intensity

    def _fit(self, reading: Reading) -> None:
        """As large as the picture, and no larger than the screen."""
        most = self._root.winfo_screenwidth() * 0.8, self._root.winfo_screenheight() * 0.8
        scale = min(1.0, most[0] / reading.frame.width, most[1] / reading.frame.height)
        width, height = (round(n * scale) for n in (reading.frame.width, reading.frame.height))
        self._root.geometry(f"{max(width, _LEAST[0])}x{max(height, _LEAST[1]) + 46}")
        self._root.update()  # so that the first picture knows its room

    def _show(self, reading: Reading) -> None:
        from PIL import Image, ImageTk

        strengths = self._intensity and all(f.intensity is not None for f in reading.faces)
        drawn: ImageArray = draw.annotate(reading.frame, reading.faces, intensity=strengths)
        room = self._picture.winfo_width(), self._picture.winfo_height()
        image = Image.fromarray(drawn)
        if min(room) > 1:
            scale = min(room[0] / image.width, room[1] / image.height)
            size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
            if size != image.size:
                image = image.resize(size, Image.Resampling.BILINEAR)
        if self._shown and (self._shown.width(), self._shown.height()) == image.size:
            self._shown.paste(image)  # a new one would have everything laid out anew
        else:
            self._shown = ImageTk.PhotoImage(image)  # kept: Tk does not
            self._picture.configure(image=self._shown)

    def _tell(self, live: Live) -> None:
        status = live.status()
        parts = []
        bad = bool(status.trouble) or status.is_stale
        if status.paused:
            parts.append("PAUSED")
        elif bad:
            parts.append(f"no picture for {status.missing_s:.0f} s")
        parts.append(f"{status.fps:.0f} frames/s, {status.read_fps:.0f} read")
        p50, p95 = status.shown
        if not isnan(p50):
            parts.append(f"shown after {p50 * 1000:.0f} ms, p95 {p95 * 1000:.0f}")
        keys = "   ".join(f"{key}: {word}" for key, (word, _) in live.keys.items())
        if said := status.trouble or (status.notices[-1] if status.notices else ""):
            parts.append(said)
        told = ("    ".join(parts) + "\n" + keys, _BAD if bad else _QUIET)
        if told != self._told:
            self._told = told
            self._status.configure(text=told[0], foreground=told[1])
        messages = tuple(live.messages())
        if messages != self._alarms:
            self._alarms = messages
            self._alarm.configure(text="\n".join(messages))
            if messages:
                self._alarm.pack(side="top", fill="x", before=self._picture)
            else:
                self._alarm.pack_forget()
