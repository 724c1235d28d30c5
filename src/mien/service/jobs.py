"""Recordings that wait, and who works on which: a table that outlasts the service.

A job is worked on by whoever has its *lease*: a right that ends by itself unless it is renewed. So
what a killed service was at is taken up by the next one, and two services on one table never do
the same job twice. A long recording is cut into ranges, which have leases of their own; when none
of them is left, the job is there to be taken again, and joined. SQLite and PostgreSQL are asked
with the same statements (ADR 29).
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    exists,
    false,
    func,
    inspect,
    literal,
    null,
    or_,
    select,
    text,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError

from ..errors import ConfigError, MienError, MissingExtra
from ..secrecy import public

SCHEMA = 2
"""Of the tables; a service brings older ones up to it, and does not touch those of a later one."""
_LOCK = 0x6D69656E  # "mien": of a database's advisory locks, the one that is taken here
_PATIENCE_S = 30  # that a statement waits for another service's
_PAUSE_S = 0.02  # before a statement that was turned away is given again
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
    process came to a bad end. counts : records by status. reason : why it failed. parts : ranges
    that it is cut into; 0 for none. part : the one that its worker has; None for all of it.
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
    parts: int = 0
    part: int | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker has: a job by its id, or a range of one."""

    id: str
    worker: str
    part: int | None = None


def _lease() -> tuple[Column[Any], ...]:
    """Who works on a row, until when; and not before which time anybody should."""
    return (
        Column("worker", String(32)),
        Column("lease_until_s", Float, nullable=False, default=0.0),
        Column("not_before_s", Float, nullable=False, default=0.0),
    )


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
    *_lease(),
    # What was asked of it while somebody works on it.
    Column("stop", Boolean, nullable=False),
    Column("gone", Boolean, nullable=False),
    Column("parts", Integer, nullable=False, server_default="0"),
)
_PARTS = Table(
    "mien_parts",
    _TABLES,
    Column("job", String(32), primary_key=True),
    Column("part", Integer, primary_key=True),
    # Where it begins in the recording, how much of it is analysed.
    Column("start_s", Float, nullable=False),
    Column("frames", BigInteger, nullable=False, default=0),
    Column("seconds", Float, nullable=False, default=0.0),
    Column("frames_per_s", Float, nullable=False, default=0.0),
    Column("crashes", Integer, nullable=False, default=0),
    Column("done", Boolean, nullable=False, default=False),
    *_lease(),
)
_UPGRADES = {1: "ALTER TABLE mien_jobs ADD COLUMN parts INTEGER DEFAULT 0 NOT NULL"}
"""What makes the next schema of one, beside tables that are new."""
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
    """Readers do not wait for a writer, and what was written survives a kill.

    Of connections that ask a new file for that at once, all but one are turned away: this one
    statement does not wait by itself.
    """
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as err:
            if "locked" not in str(err) or time.monotonic() > end:
                raise
            time.sleep(_PAUSE_S)
    connection.execute("PRAGMA synchronous=NORMAL")


def _alone(connection: Connection) -> None:
    """No other transaction that asks for this goes on until this one is over.

    Of two services that begin at once the second waits for the first, and finds the tables made.
    """
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))


class Jobs:
    """The table of jobs. Threads and services may share one.

    Every method raises DatabaseAway where the database does not answer.
    clock : UTC in seconds of Unix.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine, self._clock = engine, clock

    def prepare(self) -> None:
        """Make the tables where there are none, and bring older ones up to date.

        Raises ConfigError for those of a later mien.
        """
        with self._asked() as connection:
            _alone(connection)
            for older, change in _UPGRADES.items():
                self._upgrade(connection, older, change)
            _TABLES.create_all(connection)
            found = connection.execute(select(_ABOUT.c.schema)).scalar()
            if found is None:
                connection.execute(_ABOUT.insert().values(schema=SCHEMA))
            elif found != SCHEMA:
                raise ConfigError(
                    f"the database holds jobs of another mien (schema {found}, this is {SCHEMA}); "
                    "name another --database"
                )

    def _upgrade(self, connection: Connection, older: int, change: str) -> None:
        """The next schema, where the database has this one."""
        if not inspect(connection).has_table(_ABOUT.name):
            return
        taken = _ABOUT.update().where(_ABOUT.c.schema == older).values(schema=older + 1)
        if connection.execute(taken).rowcount:
            connection.execute(text(change))

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
            _alone(connection)  # nobody adds one between the count and this one
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
        """What waited longest, or whose lease ran out; None where there is nothing.

        A job, or a range of one (``Job.part``). A job whose ranges are done is to be joined.
        """
        while True:
            now = self._clock()
            with self._asked() as connection:
                number, part = self._longest(connection, now)
                if number is None:
                    return None
                # Another service may have been quicker: then the row is free no more.
                if part is None:
                    taken = self._take(connection, number, worker, now, lease_s)
                else:
                    taken = self._take_part(connection, number, part, worker, now, lease_s)
            if taken:
                return taken

    def _longest(self, connection: Connection, now: float) -> tuple[int | None, int | None]:
        """The number of the first job that has something free, and the range that is."""
        whole = select(_JOBS.c.number).where(_free_job(now)).order_by(_JOBS.c.number).limit(1)
        number = connection.execute(whole).scalar()
        part = connection.execute(
            select(_JOBS.c.number, _PARTS.c.part)
            .join(_JOBS, _JOBS.c.id == _PARTS.c.job)
            .where(_RUNS, ~_JOBS.c.stop, ~_PARTS.c.done, _free(_PARTS, now))
            .order_by(_JOBS.c.number, _PARTS.c.part)
            .limit(1)
        ).first()
        if part and (number is None or part.number < number):
            return part.number, part.part
        return number, None

    def _take(
        self, connection: Connection, number: int, worker: str, now: float, lease_s: float
    ) -> Job | None:
        taken = connection.execute(
            _JOBS.update()
            .where(_JOBS.c.number == number, _free_job(now))
            .values(
                state=State.RUNNING.value,
                worker=worker,
                lease_until_s=now + lease_s,
                started_s=func.coalesce(_JOBS.c.started_s, now),
            )
            .returning(*_JOBS.c)
        ).first()
        return _job(taken) if taken else None

    def _take_part(
        self,
        connection: Connection,
        number: int,
        part: int,
        worker: str,
        now: float,
        lease_s: float,
    ) -> Job | None:
        job = connection.execute(select(_JOBS).where(_JOBS.c.number == number)).first()
        if job is None:
            return None
        mine = and_(_PARTS.c.job == job.id, _PARTS.c.part == part)
        taken = connection.execute(
            _PARTS.update()
            .where(mine, ~_PARTS.c.done, _free(_PARTS, now))
            .values(worker=worker, lease_until_s=now + lease_s)
        ).rowcount
        return replace(_job(job), part=part) if taken else None

    def cut(self, id: str, worker: str, starts_s: Sequence[float]) -> bool:
        """A job is from now on so many ranges, which are free; they begin at these times.

        False where it is somebody else's by now.
        """
        values = {"parts": len(starts_s), "worker": None, "lease_until_s": 0.0}
        rows = [{"job": id, "part": n, "start_s": start} for n, start in enumerate(starts_s)]
        with self._asked() as connection:
            if not _changed(connection, Claim(id, worker), values):
                return False
            connection.execute(_PARTS.insert(), rows)
        return True

    def renew(self, claim: Claim, lease_s: float, progress: Progress | None = None) -> bool:
        """Keep it for longer; False where it is somebody else's by now, or to be left.

        progress : None where there is nothing new to say.
        """
        values: dict[str, Any] = {"lease_until_s": self._clock() + lease_s}
        if claim.part is not None:
            return self._change(claim, values | _reached(progress), _goes_on(claim.id))
        if progress:
            values |= {
                "frames": progress.frames,
                "time_s": progress.time_s,
                "frames_per_s": progress.frames_per_s,
            }
        return self._change(claim, values, ~_JOBS.c.stop)

    def done(self, claim: Claim, progress: Progress, counts: Mapping[str, int]) -> bool:
        """Its records are whole. False where it is somebody else's by now."""
        if claim.part is not None:
            values = _reached(progress) | {"done": True, "worker": None, "frames_per_s": 0.0}
            return self._change(claim, values)
        values = _ended(State.DONE, self._clock()) | {
            "frames": progress.frames,
            "time_s": progress.time_s,
            "counts": dict(counts),
        }
        return self._change(claim, values)

    def failed(self, claim: Claim, reason: str, counts: Mapping[str, int]) -> bool:
        """It cannot be analysed. False where it is somebody else's by now."""
        values = _ended(State.FAILED, self._clock()) | {"reason": reason, "counts": dict(counts)}
        if claim.part is None:
            return self._change(claim, values)
        with self._asked() as connection:
            return _changed(connection, claim, _left()) and _end(connection, claim.id, values)

    def crashed(self, claim: Claim, reason: str) -> bool:
        """Its process came to a bad end: it is tried again, and set aside the third time.

        One that is to be stopped is cancelled by that. False where it is somebody else's by now.
        """
        given_up = f"{reason}; tried {_CRASHES} times"
        if claim.part is not None:
            return self._crashed_part(claim, given_up)
        crashes = _JOBS.c.crashes + 1
        is_last = and_(crashes >= _CRASHES, ~_JOBS.c.stop)
        values = self._given_back(is_last) | {
            "crashes": crashes,
            "reason": case((is_last, given_up), else_=_JOBS.c.reason),
        }
        return self._change(claim, values)

    def _crashed_part(self, claim: Claim, given_up: str) -> bool:
        values = _left() | {"crashes": _PARTS.c.crashes + 1}
        asked = and_(_PARTS.c.job == claim.id, _PARTS.c.part == claim.part)
        with self._asked() as connection:
            if not _changed(connection, claim, values):
                return False
            crashes = connection.execute(select(_PARTS.c.crashes).where(asked)).scalar_one()
            if crashes >= _CRASHES:
                ended = _ended(State.FAILED, self._clock()) | {"reason": given_up}
                _end(connection, claim.id, ended)
        return True

    def leave(self, claim: Claim, pause_s: float = 0.0) -> bool:
        """Give it back as it is, for whoever comes next, after a while.

        One that is to be stopped is cancelled by that. False where it is somebody else's by now.
        """
        later = {"not_before_s": self._clock() + pause_s}
        if claim.part is not None:
            return self._change(claim, _left() | later)
        return self._change(claim, self._given_back(false()) | later)

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
        self, claim: Claim, values: Mapping[str, Any], also: ColumnElement[bool] | None = None
    ) -> bool:
        """Change what is still this worker's; whether it was. A range's job tells how far it is."""
        with self._asked() as connection:
            if not _changed(connection, claim, values, also):
                return False
            if claim.part is not None:
                job = and_(_JOBS.c.id == claim.id, _RUNS)
                connection.execute(_JOBS.update().where(job).values(**_summed(claim.id)))
        return True

    # -- what clients and time ask ----------------------------------------------------------------

    def cancel(self, id: str, owner: str) -> Job | None:
        """Stop a job, at once or as soon as its worker hears of it; as it is then.

        One that is over stays as it is. None where there is no such job.
        """
        cut = and_(_RUNS, _JOBS.c.worker.is_(None), ~_has_parts(_JOBS.c.id, _held(self._clock())))
        waits = or_(_JOBS.c.state == State.QUEUED.value, cut)
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
        held = _has_parts(_JOBS.c.id, _held(self._clock()))
        gone = select(_JOBS.c.id).where(_JOBS.c.gone, _JOBS.c.state.not_in(_OPEN), ~held)
        with self._asked() as connection:
            return list(connection.execute(gone).scalars())

    def erase(self, id: str) -> None:
        """Drop a forgotten job's rows."""
        with self._asked() as connection:
            connection.execute(_PARTS.delete().where(_PARTS.c.job == id))
            connection.execute(_JOBS.delete().where(_JOBS.c.id == id, _JOBS.c.gone))


def _changed(
    connection: Connection,
    claim: Claim,
    values: Mapping[str, Any],
    also: ColumnElement[bool] | None = None,
) -> bool:
    """Change a job, or the range of one, that is still a worker's; whether it was."""
    if claim.part is None:
        rows, mine = _JOBS, and_(_JOBS.c.id == claim.id, _RUNS)
    else:
        rows, mine = _PARTS, and_(_PARTS.c.job == claim.id, _PARTS.c.part == claim.part)
    asked = rows.update().where(mine, rows.c.worker == claim.worker)
    asked = asked if also is None else asked.where(also)
    return connection.execute(asked.values(**values)).rowcount == 1


def _told(err: DBAPIError) -> str:
    """The database's own first line, without the statement and where it is."""
    return public(str(err.orig).strip().partition("\n")[0])


def _named(id: str, owner: str | None) -> ColumnElement[bool]:
    """The job that an owner sees by this id."""
    mine = and_(_JOBS.c.id == id, ~_JOBS.c.gone)
    return mine if owner is None else and_(mine, _JOBS.c.owner == owner)


_RUNS = _JOBS.c.state == State.RUNNING.value


def _free(rows: Table, now: float) -> ColumnElement[bool]:
    """Whether nobody has a row's lease."""
    return and_(rows.c.not_before_s <= now, rows.c.lease_until_s < now)


def _free_job(now: float) -> ColumnElement[bool]:
    """Whether a job waits for somebody who does it, or joins it, or lets go of it."""
    open_parts = _has_parts(_JOBS.c.id, ~_PARTS.c.done)
    left = and_(_JOBS.c.stop, ~_has_parts(_JOBS.c.id, _held(now)))
    begun = and_(_RUNS, _JOBS.c.lease_until_s < now, or_(~open_parts, left))
    return and_(_JOBS.c.not_before_s <= now, or_(_JOBS.c.state == State.QUEUED.value, begun))


def _held(now: float) -> ColumnElement[bool]:
    """Whether somebody has a range's lease."""
    return and_(_PARTS.c.worker.is_not(None), _PARTS.c.lease_until_s >= now)


def _has_parts(id: ColumnElement[str], which: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether the job of this id has such ranges."""
    return exists().where(_PARTS.c.job == id, which).correlate(_JOBS)


def _goes_on(id: str) -> ColumnElement[bool]:
    """Whether a job is neither over nor to be stopped."""
    return exists().where(_JOBS.c.id == id, _RUNS, ~_JOBS.c.stop)


def _end(connection: Connection, id: str, values: Mapping[str, Any]) -> bool:
    """A job is over by what came of one of its ranges, unless it was to stop before."""
    goes_on = and_(_JOBS.c.id == id, _RUNS, ~_JOBS.c.stop)
    return connection.execute(_JOBS.update().where(goes_on).values(**values)).rowcount == 1


def _left() -> dict[str, Any]:
    """A range that nobody works on any more."""
    return {"worker": None, "lease_until_s": 0.0, "frames_per_s": 0.0}


def _reached(progress: Progress | None) -> dict[str, Any]:
    """How far a range is: all that lies between its beginning and its last frame."""
    if progress is None:
        return {}
    seconds = literal(progress.time_s) - _PARTS.c.start_s
    return {
        "frames": progress.frames,
        "seconds": case((seconds > 0, seconds), else_=0.0),
        "frames_per_s": progress.frames_per_s,
    }


def _summed(id: str) -> dict[str, Any]:
    """How far a job is by its ranges: as if it were read in order, and as fast as all of them."""

    def of(value: ColumnElement[Any]) -> Any:
        return select(value).where(_PARTS.c.job == id).scalar_subquery()

    return {
        "frames": of(func.sum(_PARTS.c.frames)),
        "time_s": of(func.min(_PARTS.c.start_s) + func.sum(_PARTS.c.seconds)),
        "frames_per_s": of(func.sum(_PARTS.c.frames_per_s)),
    }


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
        parts=row.parts,
    )
