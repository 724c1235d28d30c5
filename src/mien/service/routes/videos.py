"""Recordings: handed in, watched, and their records in every format."""

from __future__ import annotations

import asyncio
import pathlib
import re
from contextlib import ExitStack
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import FileResponse, Response

from ...analysis.recording import Options as RecordingOptions
from ...media.video import Span
from .. import folders
from ..document import problem
from ..folders import safe_name
from ..intake import EngineOf
from ..jobs import DatabaseAway, Job, QueueFull, State
from ..notice import NOTICE
from ..problems import Refused, told, without_paths
from ..recordings import NotYet, Recordings
from ..uploads import FIELD, NAME, take_in
from .pictures import Options, Png

router = APIRouter(prefix="/v1/videos", tags=["recordings"])
_ID = re.compile(r"[\w-]{1,32}", re.ASCII)
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


async def recordings_of(request: Request) -> Recordings:
    """The service's recordings."""
    recordings: Recordings = request.app.state.recordings
    return recordings


async def owner_of(request: Request) -> str:
    """Whose key the request came with; nobody's where none is needed."""
    owner: str = request.state.owner
    return owner


RecordingsOf = Annotated[Recordings, Depends(recordings_of)]
Owner = Annotated[str, Depends(owner_of)]


class Wanted(Options):
    """The options of a recording's analysis."""

    name: str = Field(
        NAME,
        max_length=255,
        description="Of a recording that is the body itself: its file's.",
        examples=["interview.mp4"],
    )
    every: int = Field(1, ge=1, description="Read every N-th frame.", examples=[5])
    fps: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Read so many frames of each second.",
        examples=[5],
    )
    start: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="Begin at this time, in seconds.",
        examples=[0.5],
    )
    end: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Stop at this time, in seconds.",
        examples=[1.5],
    )
    smooth: Literal["none", "causal", "two-sided"] = Field(
        "none", description="Even out what trembles in each face.", examples=["two-sided"]
    )
    no_tracks: bool = Field(
        False, description="Search each frame anew, and number no faces.", examples=[True]
    )

    @property
    def recording(self) -> RecordingOptions:
        """How the frames are read; raises ConfigError for what does not go together."""
        span = Span(self.start or 0.0, self.end or float("inf"), self.every, self.fps)
        return RecordingOptions(span, not self.no_tracks, self.smooth)

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
    kept_until: datetime | None = Field(
        description="Then it goes, with all that came of it; null where it is not over, or stays."
    )
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


_KINDS = {
    ".jsonl": "application/x-ndjson",
    ".csv": "text/csv",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".parquet": "application/vnd.apache.parquet",
    ".zip": "application/zip",
}


class File(Response):
    """Records in one of their formats."""

    media_type = _KINDS[".jsonl"]


_NOT_YET = problem("409", "It is not done, failed, or was taken away: there are no records of it.")
_MISSING = problem("501", "A library that this needs is not on this server, or its system cannot.")
_FULL = problem("507", "The disk of the server is full.")


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    summary="Hand in a recording",
    openapi_extra={"requestBody": _BODY},
    responses={501: _MISSING, 507: _FULL},
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
    _ = options.recording  # raises what is wrong with them
    if not folders.HAS_LOCKS:
        raise Refused(
            HTTPStatus.NOT_IMPLEMENTED, "recordings are analysed by services on Linux and macOS"
        )
    await asyncio.to_thread(engine.analyzer, options.settings)  # and this
    await asyncio.to_thread(recordings.check_room)
    job = Job(owner, "", options.kept())
    with ExitStack() as receiving:
        names = []

        def named(name: str) -> Any:
            names.append(name)
            return receiving.enter_context(recordings.folders.receive(job.id, name))

        request.state.most_bytes = recordings.settings.most_recording_bytes
        await take_in(request, named, options.name)
    job = Job(owner, safe_name(names[0]), options.kept(), id=job.id)
    job = await asyncio.to_thread(_asked, recordings.accept, job)
    response.headers["Location"] = f"{request.scope.get('root_path', '')}/v1/videos/{job.id}"
    return _state(job, recordings)


@router.get("", summary="List your recordings")
def listed(
    recordings: RecordingsOf,
    owner: Owner,
    most: Annotated[
        int, Query(ge=1, le=1000, description="Jobs of this page.", examples=[10])
    ] = 100,
    before: Annotated[
        str | None, Query(description="Those handed in before the job of this id.")
    ] = None,
) -> Jobs:
    """The latest first; for the next page give the last one's id as `before`."""
    if before is not None and _found(before, recordings, owner) is None:
        raise Refused(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"before: there is no recording of the id {before!r}, or not any more; take another's",
        )
    found = _asked(recordings.jobs.of, owner, most, before)
    return Jobs(jobs=[_state(job, recordings) for job in found])


Id = Annotated[str, Path(description="Of a recording's job.", examples=["Qm4vT1yC0sX9bKd2LrWn7A"])]


def job_of(id: Id, recordings: RecordingsOf, owner: Owner) -> Job:
    """The job of this id; somebody else's is as if there were none."""
    job = _found(id, recordings, owner)
    if job is None:
        raise Refused(HTTPStatus.NOT_FOUND, "there is no recording of this id")
    return job


def _found(id: str, recordings: Recordings, owner: str) -> Job | None:
    # No database is asked for what cannot be one: PostgreSQL takes no NUL.
    job: Job | None = _asked(recordings.jobs.get, id, owner) if _ID.fullmatch(id) else None
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


@router.get(
    "/{id}/result",
    summary="Its records",
    response_class=File,
    responses={
        200: {"content": {kind: {} for kind in _KINDS.values()}},
        409: _NOT_YET,
        501: _MISSING,
        507: _FULL,
    },
)
def result(
    job: JobOf,
    recordings: RecordingsOf,
    format: Annotated[
        str,
        Query(
            description="jsonl, csv, csv-semicolon, xlsx, parquet, or as other tools write: "
            "pyfeat, openface, deepface, bids (an archive of the table and its sidecar).",
            examples=["csv", "parquet", "bids"],
        ),
    ] = "jsonl",
) -> FileResponse:
    """The very file that `mien analyze --format` writes."""
    return _file(job, _told(recordings.result, job, format))


@router.get(
    "/{id}/meta",
    summary="What its records were made with",
    responses={409: _NOT_YET},
)
def meta(job: JobOf, recordings: RecordingsOf) -> dict[str, Any]:
    """Model and sha256, labels, units, thresholds, versions, and the notice."""
    told_of: dict[str, Any] = _told(recordings.meta, job)
    return told_of


@router.get("/{id}/summary", summary="What each face showed", responses={409: _NOT_YET})
def summary(job: JobOf, recordings: RecordingsOf) -> Summary:
    """How long each face was seen, shares of the expressions, and its episodes."""
    faces = [FaceSummary(**face) for face in _told(recordings.summary, job)]
    return Summary(faces=faces, notice=NOTICE)


@router.get(
    "/{id}/timeline",
    summary="A picture of it over time",
    response_class=Png,
    responses={409: _NOT_YET, 501: _MISSING, 507: _FULL},
)
def timeline(job: JobOf, recordings: RecordingsOf) -> FileResponse:
    """What each face showed over time, and its episodes (PNG)."""
    return FileResponse(_told(recordings.timeline, job), media_type="image/png")


def _file(job: Job, path: pathlib.Path) -> FileResponse:
    stem = pathlib.Path(job.name).stem
    return FileResponse(path, media_type=_KINDS[path.suffix], filename=f"{stem}{path.suffix}")


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
    return JobState(
        id=job.id,
        name=job.name,
        state=job.state,
        ahead=_asked(recordings.jobs.ahead, job) if waits else 0,
        created=_when(job.created_s),
        started=None if job.started_s is None else _when(job.started_s),
        ended=None if job.ended_s is None else _when(job.ended_s),
        kept_until=_kept_until(job, recordings.settings.keep_days),
        bytes=job.bytes,
        options=dict(job.options),
        progress=_progress(job),
        counts=dict(job.counts),
        reason=without_paths(job.reason),
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


def _kept_until(job: Job, keep_days: float) -> datetime | None:
    """When a job is forgotten; None where that is in no year of a calendar."""
    if job.ended_s is None:
        return None
    try:
        return _when(job.ended_s + keep_days * 86400)
    except (OverflowError, ValueError, OSError):
        return None


def _when(unix_s: float) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)
