"""Recordings: handed in, watched, and their records in every format."""

from __future__ import annotations

import asyncio
import mimetypes
from contextlib import ExitStack
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import FileResponse, Response

from ...analysis.recording import Options as RecordingOptions
from ...media.video import Span
from ..folders import safe_name
from ..intake import EngineOf
from ..jobs import DatabaseAway, Job, QueueFull, State
from ..notice import NOTICE
from ..problems import Refused, told
from ..recordings import NotYet, Recordings
from ..uploads import FIELD, NAME, take_in
from .pictures import Options

router = APIRouter(prefix="/v1/videos", tags=["recordings"])
_COUNTED_ELSEWHERE = 1 << 62  # bytes of a body: ``take_in`` counts by the service's settings
_BINARY = {"type": "string", "format": "binary"}
_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [FIELD],
                "additionalProperties": False,
                "properties": {FIELD: _BINARY},
            }
        },
        "video/mp4": {"schema": _BINARY},
        "application/octet-stream": {"schema": _BINARY},
    },
}


def recordings_of(request: Request) -> Recordings:
    """The service's recordings."""
    recordings: Recordings = request.app.state.recordings
    return recordings


def owner_of(request: Request) -> str:
    """Whose key the request came with; nobody's where none is needed."""
    owner: str = request.state.owner
    return owner


RecordingsOf = Annotated[Recordings, Depends(recordings_of)]
Owner = Annotated[str, Depends(owner_of)]


class Wanted(Options):
    """The options of a recording's analysis."""

    name: str = Field(
        NAME, max_length=255, description="Of a recording that is the body itself: its file's."
    )
    every: int = Field(1, ge=1, description="Read every N-th frame.")
    fps: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Read so many frames of each second."
    )
    start: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="Begin at this time, in seconds."
    )
    end: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Stop at this time, in seconds."
    )
    smooth: Literal["none", "causal", "two-sided"] = Field(
        "none", description="Even out what trembles in each face."
    )
    no_tracks: bool = Field(False, description="Search each frame anew, and number no faces.")

    def check(self) -> None:
        """Raises ConfigError for options that do not go together."""
        span = Span(self.start or 0.0, self.end or float("inf"), self.every, self.fps)
        RecordingOptions(span, not self.no_tracks, self.smooth)

    def kept(self) -> dict[str, Any]:
        """As the job keeps them: what differs from the defaults."""
        return self.model_dump(exclude_defaults=True, exclude={"name"})


class Progress(BaseModel):
    """How far a recording is analysed."""

    frames: int = Field(description="Records written so far.")
    time_s: float = Field(description="Of the last of them, in the recording's own time.")
    duration_s: float | None = Field(description="As the recording says itself.")
    share: float | None = Field(description="0 to 1; null where it does not say how long it is.")
    frames_per_s: float = Field(description="While it is analysed.")
    left_s: float | None = Field(description="Until it is done, about; null where nobody knows.")


class JobState(BaseModel):
    """Where a recording stands."""

    id: str
    name: str
    state: State
    ahead: int = Field(description="Recordings that are begun before it.")
    created: datetime
    started: datetime | None
    ended: datetime | None
    kept_until: datetime | None = Field(description="Then it goes, with all that came of it.")
    bytes: int
    options: dict[str, Any]
    progress: Progress
    counts: dict[str, int] = Field(description="Records by status, once it is done.")
    reason: str = Field(description="Why it failed.")
    notice: str = Field(examples=[NOTICE])


class Jobs(BaseModel):
    """A page of jobs, the latest first."""

    jobs: list[JobState]


class FaceSummary(BaseModel):
    """One face of a recording: how long it was seen, what it showed for what share of that."""

    model_config = {"extra": "allow"}

    source: str
    track: int
    first_s: float
    last_s: float
    frames: int
    seen_s: float
    episodes: list[dict[str, Any]]


class Summary(BaseModel):
    """What `mien summary` tells of a recording."""

    faces: list[FaceSummary]
    notice: str = Field(examples=[NOTICE])


class File(Response):
    """A file in the format that was asked for."""

    media_type = "application/octet-stream"


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    summary="Hand in a recording",
    max_body_size=_COUNTED_ELSEWHERE,
    openapi_extra={"requestBody": _BODY},
)
async def hand_in(
    request: Request,
    response: Response,
    options: Annotated[Wanted, Query()],
    engine: EngineOf,
    recordings: RecordingsOf,
    owner: Owner,
) -> JobState:
    """A recording as the body, or as `file` of a multipart form. The answer is its job.

    It is analysed as `mien analyze` does, as soon as it is its turn, whatever becomes of this
    connection or of the service.
    """
    options.check()
    await asyncio.to_thread(engine.analyzer, options.settings)  # raises what is wrong with them
    await asyncio.to_thread(recordings.check_room)
    job = Job(owner, "", options.kept())
    with ExitStack() as receiving:
        names = []

        def named(name: str) -> Any:
            names.append(name)
            return receiving.enter_context(recordings.folders.receive(job.id, name))

        most = recordings.settings.most_recording_bytes
        await take_in(request, named, options.name, most)
    job = Job(owner, safe_name(names[0]), options.kept(), id=job.id)
    job = await asyncio.to_thread(_asked, recordings.accept, job)
    response.headers["Location"] = f"{request.scope.get('root_path', '')}/v1/videos/{job.id}"
    return _state(job, recordings)


@router.get("", summary="List your recordings")
def listed(
    recordings: RecordingsOf,
    owner: Owner,
    most: Annotated[int, Query(ge=1, le=1000, description="Jobs of this page.")] = 100,
    before: Annotated[
        str | None, Query(description="Those handed in before the job of this id.")
    ] = None,
) -> Jobs:
    """The latest first; for the next page give the last one's id as `before`."""
    found = _asked(recordings.jobs.of, owner, most, before)
    return Jobs(jobs=[_state(job, recordings) for job in found])


def job_of(id: str, recordings: RecordingsOf, owner: Owner) -> Job:
    """The job of this id; somebody else's is as if there were none."""
    job: Job | None = _asked(recordings.jobs.get, id, owner)
    if job is None:
        raise Refused(HTTPStatus.NOT_FOUND, "there is no recording of this id")
    return job


JobOf = Annotated[Job, Depends(job_of)]


@router.get("/{id}", summary="Where a recording stands")
def state(job: JobOf, recordings: RecordingsOf) -> JobState:
    """Its state, progress, and how long it may take."""
    return _state(job, recordings)


@router.post("/{id}/cancel", summary="Stop a recording")
def cancel(job: JobOf, recordings: RecordingsOf, owner: Owner) -> JobState:
    """One that is over stays as it is; one that is analysed stops within seconds."""
    stopped = _asked(recordings.jobs.cancel, job.id, owner)
    return _state(stopped or job, recordings)


@router.delete("/{id}", status_code=HTTPStatus.NO_CONTENT, summary="Delete a recording")
def delete(job: JobOf, recordings: RecordingsOf, owner: Owner) -> None:
    """Stop it if it is analysed, and delete it with all that came of it within a minute."""
    _asked(recordings.jobs.remove, job.id, owner)


@router.get("/{id}/result", summary="Its records", response_class=File)
def result(
    job: JobOf,
    recordings: RecordingsOf,
    format: Annotated[
        str,
        Query(
            description="jsonl, csv, csv-semicolon, xlsx, parquet, or as other tools write: "
            "pyfeat, openface, deepface, bids (an archive of the table and its sidecar)."
        ),
    ] = "jsonl",
) -> FileResponse:
    """The very file that `mien analyze --format` writes."""
    return _file(job, _told(recordings.result, job, format))


@router.get("/{id}/meta", summary="What its records were made with")
def meta(job: JobOf, recordings: RecordingsOf) -> FileResponse:
    """Model and sha256, labels, units, thresholds, versions, and the notice."""
    return FileResponse(_told(recordings.meta, job), media_type="application/json")


@router.get("/{id}/summary", summary="What each face showed")
def summary(job: JobOf, recordings: RecordingsOf) -> Summary:
    """How long each face was seen, shares of the expressions, and its episodes."""
    faces = [FaceSummary(**face) for face in _told(recordings.summary, job)]
    return Summary(faces=faces, notice=NOTICE)


@router.get("/{id}/timeline", summary="A picture of it over time", response_class=File)
def timeline(job: JobOf, recordings: RecordingsOf) -> FileResponse:
    """What each face showed over time, and its episodes (PNG)."""
    return FileResponse(_told(recordings.timeline, job), media_type="image/png")


def _file(job: Job, path: Path) -> FileResponse:
    stem = Path(job.name).stem
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return FileResponse(path, media_type=kind, filename=f"{stem}{path.suffix}")


def _asked(ask: Any, *of: Any) -> Any:
    """What the table of jobs says; raises Refused where it is away, or full."""
    try:
        return ask(*of)
    except DatabaseAway as err:
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, told(err), retry_s=10) from None
    except QueueFull as err:
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, told(err), retry_s=60) from None


def _told(make: Any, *of: Any) -> Any:
    """What is made of a job's records; raises Refused where there are none."""
    try:
        return make(*of)
    except NotYet as err:
        raise Refused(HTTPStatus.CONFLICT, told(err)) from None


def _state(job: Job, recordings: Recordings) -> JobState:
    waits = job.state is State.QUEUED
    over = None if job.ended_s is None else job.ended_s + recordings.settings.keep_days * 86400
    return JobState(
        id=job.id,
        name=job.name,
        state=job.state,
        ahead=_asked(recordings.jobs.ahead, job) if waits else 0,
        created=_when(job.created_s),
        started=None if job.started_s is None else _when(job.started_s),
        ended=None if job.ended_s is None else _when(job.ended_s),
        kept_until=None if over is None else _when(over),
        bytes=job.bytes,
        options=dict(job.options),
        progress=_progress(job),
        counts=dict(job.counts),
        reason=job.reason,
        notice=NOTICE,
    )


def _progress(job: Job) -> Progress:
    """How far it is, and how long it may take, if it goes on as until now."""
    done, whole = job.progress, job.duration_s
    share = left = None
    if job.state is State.DONE:
        share, left = 1.0, 0.0
    elif whole:
        begin, end = job.options.get("start", 0.0), min(whole, job.options.get("end", whole))
        share = min(1.0, max(0.0, done.time_s - begin) / max(end - begin, 1e-9))
        if job.state is State.RUNNING and share > 0 and done.frames_per_s > 0:
            left = done.frames * (1 - share) / share / done.frames_per_s
    return Progress(
        frames=done.frames,
        time_s=done.time_s,
        duration_s=whole,
        share=share,
        frames_per_s=round(done.frames_per_s, 2),
        left_s=None if left is None else round(left, 1),
    )


def _when(unix_s: float) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)
