"""Recordings that wait, and who works on which: a table that outlasts the service.

A job is worked on by whoever has its *lease*: a right that ends by itself unless it is renewed. So
what a killed service was at is taken up by the next one, and two services on one table never do
the same job twice. SQLite and PostgreSQL are asked with the same statements (ADR 29).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Float,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    and_,
    case,
    create_engine,
    event,
    false,
    func,
    null,
    or_,
    select,
    text,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError

from ..errors import ConfigError, MienError, MissingExtra
from ..secrecy import public

SCHEMA = 1
"""Of the tables; a service does not touch those of another one."""
_PATIENCE_S = 30  # that a statement waits for another service's
_CRASHES = 3  # of a recording's own process, until it is set aside


class State(StrEnum):
    """Where a job stands; nothing leads out of the last three."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class DatabaseAway(MienError):
    """The database does not answer; it may again in a while."""


class QueueFull(MienError):
    """As many jobs wait as may."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a recording is analysed.

    frames : records written. time_s : of the last of them, in the recording's own time.
    frames_per_s : of this run so far; 0 where nothing can be said yet.
    """

    frames: int = 0
    time_s: float = 0.0
    frames_per_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Job:
    """A recording to be analysed, or one that was.

    id : nobody can guess it. owner : the key it was handed in with. name : of the client's file.
    options : of ``mien analyze``, by its names. created_s, started_s, ended_s : UTC, in seconds of
    Unix. duration_s : as the recording itself says; None where it does not. crashes : how often its
    process came to a bad end. counts : records by status. reason : why it failed.
    """

    owner: str
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    duration_s: float | None = None
    bytes: int = 0
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    state: State = State.QUEUED
    created_s: float = 0.0
    started_s: float | None = None
    ended_s: float | None = None
    progress: Progress = Progress()
    crashes: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""


_TABLES = MetaData()
_ABOUT = Table("mien_about", _TABLES, Column("schema", Integer, nullable=False))
_JOBS = Table(
    "mien_jobs",
    _TABLES,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("id", String(32), unique=True, nullable=False),
    Column("owner", String(64), index=True, nullable=False),
    Column("name", Text, nullable=False),
    Column("options", JSON, nullable=False),
    Column("duration_s", Float),
    Column("bytes", BigInteger, nullable=False),
    Column("state", String(16), index=True, nullable=False),
    Column("created_s", Float, nullable=False),
    Column("started_s", Float),
    Column("ended_s", Float),
    Column("frames", BigInteger, nullable=False),
    Column("time_s", Float, nullable=False),
    Column("frames_per_s", Float, nullable=False),
    Column("crashes", Integer, nullable=False),
    Column("counts", JSON, nullable=False),
    Column("reason", Text, nullable=False),
    # Who works on it, until when; not before which time anybody should.
    Column("worker", String(32)),
    Column("lease_until_s", Float, nullable=False),
    Column("not_before_s", Float, nullable=False),
    # What was asked of it while somebody works on it.
    Column("stop", Boolean, nullable=False),
    Column("gone", Boolean, nullable=False),
)
_OPEN = (State.QUEUED.value, State.RUNNING.value)


def connect(address: str) -> Engine:
    """A database by its URL; SQLite's is made where there is none. Raises ConfigError."""
    try:
        url = make_url(address)
        if url.get_backend_name() not in ("sqlite", "postgresql"):
            raise ArgumentError("it is neither")
        if url.get_backend_name() == "postgresql" and "+" not in url.drivername:
            url = url.set(drivername="postgresql+psycopg")
        engine = create_engine(url, pool_pre_ping=True, connect_args=_arguments(url.drivername))
    except ModuleNotFoundError as err:
        if err.name != "psycopg":
            raise
        raise MissingExtra("psycopg", "postgresql", "--database postgresql://...") from None
    except ArgumentError as err:
        raise ConfigError(
            f"--database takes sqlite:///FILE or postgresql://USER@HOST/NAME, got "
            f"{public(address)}: {err}"
        ) from None
    if url.get_backend_name() == "sqlite":
        if url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        event.listen(engine, "connect", _steady)
    return engine


def _arguments(driver: str) -> dict[str, Any]:
    return {"timeout": _PATIENCE_S} if "sqlite" in driver else {"connect_timeout": 5}


def _steady(connection: Any, _: Any) -> None:
    """Readers do not wait for a writer, and what was written survives a kill."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


class Jobs:
    """The table of jobs. Threads and services may share one.

    Every method raises DatabaseAway where the database does not answer.
    clock : UTC in seconds of Unix.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine, self._clock = engine, clock

    def prepare(self) -> None:
        """Make the tables where there are none; raises ConfigError for those of another mien."""
        with self._asked() as connection:
            _TABLES.create_all(connection)
            found = connection.execute(select(_ABOUT.c.schema)).scalar()
            if found is None:
                connection.execute(_ABOUT.insert().values(schema=SCHEMA))
            elif found != SCHEMA:
                raise ConfigError(
                    f"the database holds jobs of another mien (schema {found}, this is {SCHEMA}); "
                    "name another --database"
                )

    def close(self) -> None:
        """Leave the database."""
        self._engine.dispose()

    def ping(self) -> None:
        """Come back where the database answers."""
        with self._asked() as connection:
            connection.execute(text("SELECT 1"))

    @contextmanager
    def _asked(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except (OperationalError, InterfaceError) as err:
            raise DatabaseAway(f"the database does not answer: {_told(err)}") from err

    def add(self, job: Job, most: int) -> Job:
        """Let a job wait; raises QueueFull where ``most`` of its owner's are not done yet."""
        with self._asked() as connection:
            waiting = connection.execute(
                select(func.count()).where(_JOBS.c.owner == job.owner, _JOBS.c.state.in_(_OPEN))
            ).scalar_one()
            if waiting >= most:
                raise QueueFull(f"{waiting} recordings wait already, and {most} may")
            job = replace(job, created_s=self._clock())
            connection.execute(_JOBS.insert().values(**_row(job)))
        return job

    def get(self, id: str, owner: str | None = None) -> Job | None:
        """A job by its id, of anybody or of one owner; None where there is none."""
        with self._asked() as connection:
            row = connection.execute(select(_JOBS).where(_named(id, owner))).first()
        return _job(row) if row else None

    def of(self, owner: str, most: int = 100, before: str | None = None) -> list[Job]:
        """An owner's jobs, the latest first; those handed in before the job called ``before``."""
        asked = select(_JOBS).where(_JOBS.c.owner == owner, ~_JOBS.c.gone)
        if before is not None:
            number = select(_JOBS.c.number).where(_named(before, owner)).scalar_subquery()
            asked = asked.where(_JOBS.c.number < number)
        with self._asked() as connection:
            rows = connection.execute(asked.order_by(_JOBS.c.number.desc()).limit(most)).all()
        return [_job(row) for row in rows]

    def ahead(self, job: Job) -> int:
        """How many jobs are begun before one that waits."""
        number = select(_JOBS.c.number).where(_JOBS.c.id == job.id).scalar_subquery()
        asked = select(func.count()).where(
            _JOBS.c.state == State.QUEUED.value, _JOBS.c.number < number
        )
        with self._asked() as connection:
            return int(connection.execute(asked).scalar_one())

    def known(self) -> set[str]:
        """The ids of all jobs, forgotten ones too."""
        with self._asked() as connection:
            return set(connection.execute(select(_JOBS.c.id)).scalars())

    def counts(self) -> dict[State, int]:
        """How many jobs there are of each state."""
        asked = select(_JOBS.c.state, func.count()).group_by(_JOBS.c.state)
        with self._asked() as connection:
            found = {State(state): n for state, n in connection.execute(asked)}
        return {state: found.get(state, 0) for state in State}

    # -- for those who work on them ---------------------------------------------------------------

    def claim(self, worker: str, lease_s: float) -> Job | None:
        """The job that waited longest, or one whose lease ran out; None where there is none."""
        while True:
            now = self._clock()
            free = and_(
                _JOBS.c.not_before_s <= now,
                or_(
                    _JOBS.c.state == State.QUEUED.value,
                    and_(_JOBS.c.state == State.RUNNING.value, _JOBS.c.lease_until_s < now),
                ),
            )
            with self._asked() as connection:
                longest = select(_JOBS.c.number).where(free).order_by(_JOBS.c.number).limit(1)
                number = connection.execute(longest).scalar()
                if number is None:
                    return None
                # Another service may have been quicker: then the row is free no more.
                taken = connection.execute(
                    _JOBS.update()
                    .where(_JOBS.c.number == number, free)
                    .values(
                        state=State.RUNNING.value,
                        worker=worker,
                        lease_until_s=now + lease_s,
                        started_s=func.coalesce(_JOBS.c.started_s, now),
                    )
                    .returning(*_JOBS.c)
                ).first()
            if taken:
                return _job(taken)

    def renew(self, id: str, worker: str, lease_s: float, progress: Progress) -> bool:
        """Keep a job for longer; False where it is somebody else's by now, or to be left."""
        values = {
            "lease_until_s": self._clock() + lease_s,
            "frames": progress.frames,
            "time_s": progress.time_s,
            "frames_per_s": progress.frames_per_s,
        }
        return self._change(id, worker, values, ~_JOBS.c.stop)

    def done(self, id: str, worker: str, progress: Progress, counts: Mapping[str, int]) -> bool:
        """Its records are whole. False where it is somebody else's by now."""
        values = _ended(State.DONE, self._clock()) | {
            "frames": progress.frames,
            "time_s": progress.time_s,
            "counts": dict(counts),
        }
        return self._change(id, worker, values)

    def failed(self, id: str, worker: str, reason: str, counts: Mapping[str, int]) -> bool:
        """It cannot be analysed. False where it is somebody else's by now."""
        values = _ended(State.FAILED, self._clock()) | {"reason": reason, "counts": dict(counts)}
        return self._change(id, worker, values)

    def crashed(self, id: str, worker: str, reason: str) -> bool:
        """Its process came to a bad end: it is tried again, and set aside the third time.

        One that is to be stopped is cancelled by that. False where it is somebody else's by now.
        """
        crashes = _JOBS.c.crashes + 1
        is_last = and_(crashes >= _CRASHES, ~_JOBS.c.stop)
        given_up = f"{reason}; tried {_CRASHES} times"
        values = self._given_back(is_last) | {
            "crashes": crashes,
            "reason": case((is_last, given_up), else_=_JOBS.c.reason),
        }
        return self._change(id, worker, values)

    def leave(self, id: str, worker: str, pause_s: float = 0.0) -> bool:
        """Give a job back as it is, for whoever comes next, after a while.

        One that is to be stopped is cancelled by that. False where it is somebody else's by now.
        """
        values = self._given_back(false()) | {"not_before_s": self._clock() + pause_s}
        return self._change(id, worker, values)

    def _given_back(self, failed: ColumnElement[bool]) -> dict[str, Any]:
        """A job that nobody works on any more: it waits again, unless it failed or was to stop.

        All in one statement, so that whoever asks it to stop meanwhile is heard.
        """
        state = case(
            (_JOBS.c.stop, State.CANCELLED.value),
            (failed, State.FAILED.value),
            else_=State.QUEUED.value,
        )
        ended_s = case((or_(_JOBS.c.stop, failed), self._clock()), else_=null())
        return {"state": state, "ended_s": ended_s, "worker": None, "frames_per_s": 0.0}

    def _change(
        self,
        id: str,
        worker: str,
        values: Mapping[str, Any],
        also: ColumnElement[bool] | None = None,
    ) -> bool:
        """Change a job that is still this worker's; whether it was."""
        mine = and_(
            _JOBS.c.id == id, _JOBS.c.worker == worker, _JOBS.c.state == State.RUNNING.value
        )
        mine = mine if also is None else and_(mine, also)
        with self._asked() as connection:
            return connection.execute(_JOBS.update().where(mine).values(**values)).rowcount == 1

    # -- what clients and time ask ----------------------------------------------------------------

    def cancel(self, id: str, owner: str) -> Job | None:
        """Stop a job, at once or as soon as its worker hears of it; as it is then.

        One that is over stays as it is. None where there is no such job.
        """
        waits = _JOBS.c.state == State.QUEUED.value
        asked = _JOBS.update().where(_named(id, owner), _JOBS.c.state.in_(_OPEN))
        values = {
            # In one statement: whoever works on it may give it back meanwhile.
            "stop": True,
            "state": case((waits, State.CANCELLED.value), else_=_JOBS.c.state),
            "ended_s": case((waits, self._clock()), else_=_JOBS.c.ended_s),
        }
        with self._asked() as connection:
            connection.execute(asked.values(**values))
        return self.get(id, owner)

    def remove(self, id: str, owner: str) -> bool:
        """Stop a job and let it be forgotten; False where there is no such job."""
        if self.cancel(id, owner) is None:
            return False
        with self._asked() as connection:
            connection.execute(_JOBS.update().where(_named(id, owner)).values(gone=True))
        return True

    def expire(self, keep_s: float) -> None:
        """Let those be forgotten that have been over for so long."""
        over = and_(_JOBS.c.ended_s < self._clock() - keep_s, _JOBS.c.state.not_in(_OPEN))
        with self._asked() as connection:
            connection.execute(_JOBS.update().where(over).values(gone=True))

    def forgotten(self) -> list[str]:
        """Ids of jobs that nobody works on and that are to go, with all that was kept of them."""
        gone = select(_JOBS.c.id).where(_JOBS.c.gone, _JOBS.c.state.not_in(_OPEN))
        with self._asked() as connection:
            return list(connection.execute(gone).scalars())

    def erase(self, id: str) -> None:
        """Drop a forgotten job's row."""
        with self._asked() as connection:
            connection.execute(_JOBS.delete().where(_JOBS.c.id == id, _JOBS.c.gone))


def _told(err: DBAPIError) -> str:
    """The database's own first line, without the statement and where it is."""
    return public(str(err.orig).strip().partition("\n")[0])


def _named(id: str, owner: str | None) -> ColumnElement[bool]:
    """The job that an owner sees by this id."""
    mine = and_(_JOBS.c.id == id, ~_JOBS.c.gone)
    return mine if owner is None else and_(mine, _JOBS.c.owner == owner)


def _ended(state: State, now: float) -> dict[str, Any]:
    return {"state": state.value, "ended_s": now, "worker": None, "frames_per_s": 0.0}


def _row(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "owner": job.owner,
        "name": job.name,
        "options": dict(job.options),
        "duration_s": job.duration_s,
        "bytes": job.bytes,
        "state": job.state.value,
        "created_s": job.created_s,
        "frames": 0,
        "time_s": 0.0,
        "frames_per_s": 0.0,
        "crashes": 0,
        "counts": {},
        "reason": "",
        "lease_until_s": 0.0,
        "not_before_s": 0.0,
        "stop": False,
        "gone": False,
    }


def _job(row: Row[Any]) -> Job:
    return Job(
        owner=row.owner,
        name=row.name,
        options=row.options,
        duration_s=row.duration_s,
        bytes=row.bytes,
        id=row.id,
        state=State(row.state),
        created_s=row.created_s,
        started_s=row.started_s,
        ended_s=row.ended_s,
        progress=Progress(row.frames, row.time_s, row.frames_per_s),
        crashes=row.crashes,
        counts=row.counts,
        reason=row.reason,
    )
