"""A camera's stream through the service: from a frame's sending to its record.

    python benchmarks/serve_stream.py MEDIA/single_face.mp4

Frames of a film, 640 x 480 as JPEG, are sent at 30 a second over a WebSocket of loopback, each when
it is due, as a camera's are. A frame that a newer one took the place of has no record: it is
counted. Service and client are one process; ``read_ms`` is what the service says it took.
"""

from __future__ import annotations

import io
import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import typer
from PIL import Image
from websockets.sync.client import ClientConnection, connect

from mien import provenance
from mien.media.video import Hole, Video
from mien.service import server
from mien.service.settings import ServiceSettings

OUT = Path(__file__).parent / "results" / "serve_stream.json"
WIDTH, HEIGHT, FPS = 640, 480, 30


def frames(film: Path, count: int) -> list[bytes]:
    """JPEGs of a film's first frames, again from its beginning where it is shorter."""
    found = []
    with Video(film) as source:
        for frame in source.frames():
            if isinstance(frame, Hole):
                continue
            out = io.BytesIO()
            Image.fromarray(frame.rgb).resize((WIDTH, HEIGHT)).save(out, "JPEG", quality=85)
            found.append(out.getvalue())
            if len(found) == count:
                break
    return [found[i % len(found)] for i in range(count)]


def send(socket: ClientConnection, pictures: list[bytes], sent: list[float]) -> None:
    """Each picture when it is due; when it was sent."""
    began = time.perf_counter()
    for i, picture in enumerate(pictures):
        time.sleep(max(0.0, began + i / FPS - time.perf_counter()))
        sent.append(time.perf_counter())
        socket.send(picture)


def run(film: Path, seconds: float) -> dict[str, Any]:
    pictures = frames(film, round(seconds * FPS))
    sent: list[float] = []
    late, read, faces = [], [], 0
    last: dict[str, Any] = {}
    with (
        server.running(ServiceSettings(port=0)) as at,
        connect(at.replace("http", "ws", 1) + "/v1/stream") as socket,
    ):
        socket.recv()
        socket.send(pictures[0])  # whatever is loaded at the first
        socket.recv()
        sending = threading.Thread(target=send, args=(socket, pictures, sent))
        sending.start()
        while last.get("record", {}).get("frame") != len(pictures):
            last = json.loads(socket.recv(30))
            now = time.perf_counter()
            late.append(1000 * (now - sent[last["record"]["frame"] - 1]))
            read.append(last["ms"])
            faces += len(last["record"]["faces"])
        sending.join()
    told = {
        name: {f"p{share}": round(float(np.percentile(values, share)), 2) for share in (50, 95, 99)}
        for name, values in (("from_frame_to_record_ms", late), ("read_ms", read))
    }
    passed = last["skipped"]
    return told | {
        "film": film.name,
        "frames": len(pictures),
        "records": len(late),
        "passed_over": passed,
        "faces": faces,
        "bytes": sum(map(len, pictures)),
    }


def main(film: Path, seconds: float = 30) -> None:
    result = provenance.environment() | run(film, seconds)
    OUT.write_text(json.dumps(result, indent=1) + "\n")
    typer.echo(json.dumps(result, indent=1))


if __name__ == "__main__":
    typer.run(main)
