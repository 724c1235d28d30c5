"""The table of jobs, on both databases."""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event, text

from mien.errors import ConfigError, MissingExtra
from mien.service import jobs as j
from mien.service.jobs import Claim, DatabaseAway, Job, Jobs, Progress, QueueFull, State

from .databases import Server, postgres


class Clock:
    """Seconds of Unix that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    # Not in pytest's own folders: PostgreSQL's user may not look into them, and paths of sockets
    # are short.
    with tempfile.TemporaryDirectory(prefix="mien-") as folder, postgres(Path(folder)) as server:
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new' / 'jobs.sqlite'}"
    server: Server = request.getfixturevalue("server")
    return server.address


def dropped(address: str) -> None:
    """All tables less."""
    engine = j.connect(address)
    with engine.begin() as connection:
        for name in ("mien_jobs", "mien_about", "mien_parts"):
            connection.execute(text(f"DROP TABLE {name}"))
    engine.dispose()


@pytest.fixture
def jobs(address: str, clock: Clock) -> Iterator[Jobs]:
    table = Jobs(j.connect(address), clock)
    table.prepare()
    yield table
    table.close()
    dropped(address)


def test_the_one_that_waited_longest_comes_first(jobs: Jobs, clock: Clock) -> None:
    first, second = (jobs.add(Job("ann", f"{i}.mp4", {"fps": 5}), 10) for i in range(2))
    assert (jobs.ahead(first), jobs.ahead(second)) == (0, 1)
    clock.now += 5
    taken = jobs.claim("a", 30)
    assert taken == replace(first, state=State.RUNNING, started_s=1005.0)
    assert taken is not None
    assert taken.options == {"fps": 5}
    assert (again := jobs.claim("b", 30)) is not None
    assert again.id == second.id
    assert jobs.claim("c", 30) is None
    assert jobs.counts()[State.RUNNING] == 2


def test_a_lease_that_ran_out_is_somebody_elses(jobs: Jobs, clock: Clock) -> None:
    job = jobs.add(Job("ann", "a.mp4"), 10)
    jobs.claim("a", 30)
    clock.now += 29
    assert jobs.renew(Claim(job.id, "a"), 30, Progress(7, 1.5, 20.0))
    clock.now += 29
    assert jobs.claim("b", 30) is None
    clock.now += 2
    taken = jobs.claim("b", 30)
    assert taken is not None
    assert taken.progress == Progress(7, 1.5, 20.0)
    assert taken.started_s == 1000.0  # the first time
    assert not jobs.renew(Claim(job.id, "a"), 30, Progress())
    assert not jobs.done(Claim(job.id, "a"), Progress(), {})
    assert not jobs.failed(Claim(job.id, "a"), "late", {})
    assert not jobs.crashed(Claim(job.id, "a"), "late")
    assert not jobs.leave(Claim(job.id, "a"))
    assert jobs.done(Claim(job.id, "b"), Progress(9, 2.0), {"ok": 9})
    ended = jobs.get(job.id)
    assert ended is not None
    assert (ended.state, ended.counts, ended.ended_s) == (State.DONE, {"ok": 9}, clock.now)
    clock.now += 1000
    assert jobs.claim("c", 30) is None


def test_many_who_ask_at_once_get_each_job_once(jobs: Jobs) -> None:
    added = {jobs.add(Job("ann", f"{i}.mp4"), 100).id for i in range(24)}

    def all_it_gets(worker: int) -> list[str]:
        found = []
        while job := jobs.claim(f"w{worker}", 30):
            found.append(job.id)
        return found

    with ThreadPoolExecutor(8) as pool:
        got = [id for ids in pool.map(all_it_gets, range(8)) for id in ids]
    assert len(got) == 24
    assert {*got} == added


def test_one_that_brings_its_process_down_is_set_aside(jobs: Jobs) -> None:
    job = jobs.add(Job("ann", "a.mp4"), 10)
    for tried in (1, 2):
        assert jobs.claim("a", 30) is not None
        assert jobs.crashed(Claim(job.id, "a"), "ended by SIGSEGV")
        waits = jobs.get(job.id)
        assert waits is not None
        assert (waits.state, waits.crashes) == (State.QUEUED, tried)
    jobs.claim("a", 30)
    assert jobs.crashed(Claim(job.id, "a"), "ended by SIGSEGV")
    ended = jobs.get(job.id)
    assert ended is not None
    assert (ended.state, ended.crashes) == (State.FAILED, 3)
    assert ended.reason == "ended by SIGSEGV; tried 3 times"
    assert jobs.claim("a", 30) is None


def test_one_to_be_stopped_that_brings_its_process_down_is_cancelled(
    jobs: Jobs, clock: Clock
) -> None:
    job = jobs.add(Job("ann", "a.mp4"), 10)
    jobs.claim("a", 30)
    jobs.cancel(job.id, "ann")
    clock.now += 5
    assert jobs.crashed(Claim(job.id, "a"), "ended by SIGSEGV")
    ended = jobs.get(job.id)
    assert ended is not None
    assert (ended.state, ended.crashes, ended.ended_s) == (State.CANCELLED, 1, 1005.0)
    assert jobs.claim("a", 30) is None


def test_nobody_comes_between_a_look_at_a_job_and_its_change(jobs: Jobs) -> None:
    """Each is one statement, which both databases do as a whole."""
    job = jobs.add(Job("ann", "a.mp4"), 10)
    asked: list[str] = []
    event.listen(jobs._engine, "before_cursor_execute", lambda *of: asked.append(of[2]))
    for change in (
        lambda: jobs.crashed(Claim(job.id, "a"), "ended by SIGSEGV"),
        lambda: jobs.leave(Claim(job.id, "a")),
        lambda: jobs.cancel(job.id, "ann"),
    ):
        asked.clear()
        jobs.claim("a", 30)
        claiming = len(asked)
        change()
        (made,) = [one for one in asked[claiming:] if one.startswith("UPDATE")]
        assert asked[claiming] == made, "nothing is looked up before"


def test_one_that_is_left_waits_a_while(jobs: Jobs, clock: Clock) -> None:
    job = jobs.add(Job("ann", "a.mp4"), 10)
    jobs.claim("a", 30)
    assert jobs.leave(Claim(job.id, "a"), pause_s=5)
    assert jobs.claim("b", 30) is None
    clock.now += 5
    assert jobs.claim("b", 30) is not None


def test_cancelling(jobs: Jobs, clock: Clock) -> None:
    running, waiting = (jobs.add(Job("ann", name), 10) for name in ("a.mp4", "b.mp4"))
    jobs.claim("a", 30)
    stopped = jobs.cancel(waiting.id, "ann")
    assert stopped is not None
    assert stopped.state is State.CANCELLED
    still = jobs.cancel(running.id, "ann")
    assert still is not None
    assert still.state is State.RUNNING  # until its worker hears of it
    assert not jobs.renew(Claim(running.id, "a"), 30, Progress())
    assert jobs.leave(Claim(running.id, "a"))
    ended = jobs.get(running.id)
    assert ended is not None
    assert ended.state is State.CANCELLED
    assert jobs.cancel(running.id, "ann") == ended
    assert jobs.cancel("nobody's", "ann") is None
    clock.now += 1000
    assert jobs.claim("b", 30) is None


def test_nobody_sees_anothers(jobs: Jobs) -> None:
    job = jobs.add(Job("ann", "a.mp4"), 10)
    assert jobs.get(job.id, "bob") is None
    assert jobs.cancel(job.id, "bob") is None
    assert not jobs.remove(job.id, "bob")
    assert jobs.of("bob") == []
    assert jobs.get(job.id, "ann") == job


def test_pages_of_jobs(jobs: Jobs) -> None:
    added = [jobs.add(Job("ann", f"{i}.mp4"), 10) for i in range(5)]
    page = jobs.of("ann", 2)
    assert page == [added[4], added[3]]
    assert jobs.of("ann", 2, page[-1].id) == [added[2], added[1]]


def test_so_many_may_wait(jobs: Jobs) -> None:
    for i in range(2):
        jobs.add(Job("ann", f"{i}.mp4"), 2)
    with pytest.raises(QueueFull, match="2 recordings wait already, and 2 may"):
        jobs.add(Job("ann", "c.mp4"), 2)
    jobs.add(Job("bob", "c.mp4"), 2)


def test_so_many_may_wait_however_many_are_handed_in_at_once(jobs: Jobs) -> None:
    ready = threading.Barrier(12)

    def hand_in(number: int) -> bool:
        ready.wait(10)
        try:
            return bool(jobs.add(Job("ann", f"{number}.mp4"), 3))
        except QueueFull:
            return False

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(hand_in, range(12))) == 3
    assert jobs.counts()[State.QUEUED] == 3


def test_what_is_removed_is_hidden_at_once_and_dropped_when_nobody_has_it(jobs: Jobs) -> None:
    job = jobs.add(Job("ann", "a.mp4"), 10)
    jobs.claim("a", 30)
    assert jobs.remove(job.id, "ann")
    assert jobs.get(job.id) is None
    assert jobs.of("ann") == []
    assert jobs.forgotten() == []
    assert not jobs.renew(Claim(job.id, "a"), 30, Progress())
    assert jobs.leave(Claim(job.id, "a"))
    assert jobs.forgotten() == [job.id]
    assert jobs.known() == {job.id}
    jobs.erase(job.id)
    assert jobs.known() == set()


def test_what_is_over_is_forgotten_in_time(jobs: Jobs, clock: Clock) -> None:
    done, waiting = (jobs.add(Job("ann", name), 10) for name in ("a.mp4", "b.mp4"))
    jobs.claim("a", 30)
    jobs.done(Claim(done.id, "a"), Progress(), {})
    clock.now += 99
    jobs.expire(100)
    assert jobs.forgotten() == []
    clock.now += 2
    jobs.expire(100)
    assert jobs.forgotten() == [done.id]
    assert jobs.get(waiting.id) is not None


def test_a_table_of_another_mien_is_left_alone(jobs: Jobs) -> None:
    jobs.prepare()  # a second service
    with jobs._engine.begin() as connection:
        connection.execute(text("UPDATE mien_about SET schema = 99"))
    with pytest.raises(ConfigError, match=r"schema 99, this is 2\); name another --database"):
        jobs.prepare()


# -- of a long recording ------------------------------------------------------------------------


def cut_in(jobs: Jobs, parts: int, name: str = "a.mp4") -> Job:
    """A job whose ranges of 300 s are free."""
    job = jobs.add(Job("ann", name), 100)
    assert jobs.claim("cutter", 30) is not None
    assert jobs.cut(job.id, "cutter", [300.0 * n for n in range(parts)])
    return job


def claimed(jobs: Jobs, worker: str) -> tuple[str, int | None] | None:
    found = jobs.claim(worker, 30)
    return (found.name, found.part) if found else None


def state(jobs: Jobs, job: Job) -> State:
    found = jobs.get(job.id)
    assert found is not None
    return found.state


def test_ranges_are_had_by_several_and_then_the_job_to_join_them(jobs: Jobs) -> None:
    job = cut_in(jobs, 3)
    later = jobs.add(Job("ann", "b.mp4"), 100)
    assert [claimed(jobs, w) for w in "abc"] == [("a.mp4", 0), ("a.mp4", 1), ("a.mp4", 2)]
    assert claimed(jobs, "d") == ("b.mp4", None), "nobody waits for another's ranges"
    for part, worker in ((2, "c"), (0, "a")):
        assert jobs.done(Claim(job.id, worker, part), Progress(100, 300.0 * part + 299), {})
        assert jobs.claim("e", 30) is None
    assert jobs.done(Claim(job.id, "b", 1), Progress(100, 599.0), {})
    joins = jobs.claim("e", 30)
    assert joins is not None
    assert (joins.id, joins.part, joins.parts) == (job.id, None, 3)
    assert jobs.claim("f", 30) is None
    assert jobs.done(Claim(job.id, "e"), Progress(300, 899.0), {"ok": 300})
    assert (state(jobs, job), state(jobs, later)) == (State.DONE, State.RUNNING)


def test_progress_adds_up_whatever_range_is_done_first(jobs: Jobs) -> None:
    job = cut_in(jobs, 3)
    for worker in "ab":
        jobs.claim(worker, 30)
    assert jobs.renew(Claim(job.id, "b", 1), 30, Progress(50, 400.0, 20.0))
    assert jobs.renew(Claim(job.id, "a", 0), 30, Progress(30, 60.0, 12.0))
    found = jobs.get(job.id)
    assert found is not None
    assert found.progress == Progress(80, 160.0, 32.0)
    assert jobs.done(Claim(job.id, "b", 1), Progress(150, 599.0, 20.0), {})
    assert jobs.renew(Claim(job.id, "a", 0), 30), "nothing new to say"
    found = jobs.get(job.id)
    assert found is not None
    assert found.progress == Progress(180, 359.0, 12.0)


def test_a_range_whose_lease_ran_out_is_somebody_elses(jobs: Jobs, clock: Clock) -> None:
    job = cut_in(jobs, 2)
    for worker in "ab":
        jobs.claim(worker, 30)
    clock.now += 20
    assert jobs.renew(Claim(job.id, "b", 1), 30)
    clock.now += 20
    assert claimed(jobs, "c") == ("a.mp4", 0)
    assert claimed(jobs, "d") is None
    assert not jobs.renew(Claim(job.id, "a", 0), 30)
    assert not jobs.done(Claim(job.id, "a", 0), Progress(), {})
    assert not jobs.failed(Claim(job.id, "a", 0), "late", {})
    assert not jobs.crashed(Claim(job.id, "a", 0), "late")
    assert not jobs.leave(Claim(job.id, "a", 0))
    assert state(jobs, job) is State.RUNNING


def test_many_who_ask_at_once_get_each_range_once(jobs: Jobs) -> None:
    cut_in(jobs, 24)

    def all_it_gets(worker: int) -> list[int | None]:
        found = []
        while job := jobs.claim(f"w{worker}", 30):
            found.append(job.part)
        return found

    with ThreadPoolExecutor(8) as pool:
        got = [part for parts in pool.map(all_it_gets, range(8)) for part in parts]
    assert sorted(part for part in got if part is not None) == list(range(24))
    assert len(got) == 24


def test_a_range_that_brings_its_process_down_sets_the_job_aside(jobs: Jobs) -> None:
    job = cut_in(jobs, 2)
    assert claimed(jobs, "b") == ("a.mp4", 0)
    for _ in range(3):
        assert state(jobs, job) is State.RUNNING
        assert claimed(jobs, "a") == ("a.mp4", 1)
        assert jobs.crashed(Claim(job.id, "a", 1), "ended by SIGSEGV")
    ended = jobs.get(job.id)
    assert ended is not None
    assert (ended.state, ended.reason) == (State.FAILED, "ended by SIGSEGV; tried 3 times")
    assert not jobs.renew(Claim(job.id, "b", 0), 30), "the other one is to be left"
    assert jobs.leave(Claim(job.id, "b", 0))
    assert jobs.claim("a", 30) is None


def test_a_range_that_cannot_be_read_fails_the_job(jobs: Jobs) -> None:
    job = cut_in(jobs, 2)
    for worker in "ab":
        jobs.claim(worker, 30)
    assert jobs.failed(Claim(job.id, "b", 1), "no such thing", {})
    ended = jobs.get(job.id)
    assert ended is not None
    assert (ended.state, ended.reason) == (State.FAILED, "no such thing")
    assert not jobs.renew(Claim(job.id, "a", 0), 30)
    assert jobs.remove(job.id, "ann")
    assert jobs.forgotten() == [], "somebody is at a range of it"
    assert jobs.leave(Claim(job.id, "a", 0))
    assert jobs.forgotten() == [job.id]
    jobs.erase(job.id)
    assert jobs.claim("a", 30) is None


def test_a_cut_job_is_cancelled_when_the_last_range_is_left(jobs: Jobs) -> None:
    job = cut_in(jobs, 3)
    for worker in "ab":
        jobs.claim(worker, 30)
    jobs.cancel(job.id, "ann")
    assert claimed(jobs, "c") is None
    assert not jobs.renew(Claim(job.id, "a", 0), 30, Progress())
    assert jobs.leave(Claim(job.id, "a", 0))
    assert (claimed(jobs, "a"), state(jobs, job)) == (None, State.RUNNING)
    assert jobs.done(Claim(job.id, "b", 1), Progress(), {}), "it was just done"
    assert claimed(jobs, "b") == ("a.mp4", None)
    assert not jobs.renew(Claim(job.id, "b"), 30, Progress())
    assert jobs.leave(Claim(job.id, "b"))
    assert state(jobs, job) is State.CANCELLED
    assert jobs.claim("b", 30) is None


def test_a_cut_job_that_nobody_is_at_is_cancelled_at_once(jobs: Jobs) -> None:
    stopped = jobs.cancel(cut_in(jobs, 3).id, "ann")
    assert stopped is not None
    assert stopped.state is State.CANCELLED
    assert jobs.claim("a", 30) is None


def test_ranges_of_a_killed_service_do_not_keep_a_cancelled_job(jobs: Jobs, clock: Clock) -> None:
    job = cut_in(jobs, 2)
    jobs.claim("killed", 30)
    jobs.cancel(job.id, "ann")
    assert (claimed(jobs, "b"), state(jobs, job)) == (None, State.RUNNING)
    clock.now += 31
    assert claimed(jobs, "b") == ("a.mp4", None)
    assert jobs.leave(Claim(job.id, "b"))
    assert state(jobs, job) is State.CANCELLED


OLDER = {
    "sqlite": """
CREATE TABLE mien_jobs (
    number INTEGER NOT NULL, id VARCHAR(32) NOT NULL, owner VARCHAR(64) NOT NULL,
    name TEXT NOT NULL, options JSON NOT NULL, duration_s FLOAT, bytes BIGINT NOT NULL,
    state VARCHAR(16) NOT NULL, created_s FLOAT NOT NULL, started_s FLOAT, ended_s FLOAT,
    frames BIGINT NOT NULL, time_s FLOAT NOT NULL, frames_per_s FLOAT NOT NULL,
    crashes INTEGER NOT NULL, counts JSON NOT NULL, reason TEXT NOT NULL, worker VARCHAR(32),
    lease_until_s FLOAT NOT NULL, not_before_s FLOAT NOT NULL, stop BOOLEAN NOT NULL,
    gone BOOLEAN NOT NULL, PRIMARY KEY (number), UNIQUE (id))
""",
}
OLDER["postgresql"] = OLDER["sqlite"].replace("number INTEGER", "number BIGSERIAL")
"""The tables as the first mien had them that kept jobs."""


def older(jobs: Jobs) -> None:
    """The database as that mien left it, with a job that runs and one that waits."""
    with jobs._engine.begin() as connection:
        for name in ("mien_jobs", "mien_about", "mien_parts"):
            connection.execute(text(f"DROP TABLE {name}"))
        connection.execute(text(OLDER[connection.dialect.name]))
        connection.execute(text("CREATE TABLE mien_about (schema INTEGER NOT NULL)"))
        connection.execute(text("INSERT INTO mien_about VALUES (1)"))
        for id, state, until_s in (("begun", "running", 1030.0), ("waits", "queued", 0.0)):
            connection.execute(
                text(
                    "INSERT INTO mien_jobs (id, owner, name, options, bytes, state, created_s,"
                    " frames, time_s, frames_per_s, crashes, counts, reason, worker,"
                    " lease_until_s, not_before_s, stop, gone) VALUES (:id, 'ann', 'a.mp4',"
                    " '{\"fps\": 5}', 7, :state, 900.0, 3, 0.5, 2.0, 0, '{}', '', 'older',"
                    " :until_s, 0.0, :no, :no)"
                ),
                {"id": id, "state": state, "until_s": until_s, "no": False},
            )


def test_the_tables_of_an_older_mien_are_brought_up_to_date(jobs: Jobs, clock: Clock) -> None:
    older(jobs)
    jobs.prepare()
    jobs.prepare()
    begun = jobs.get("begun", "ann")
    assert begun is not None
    assert (begun.parts, begun.options, begun.progress) == (0, {"fps": 5}, Progress(3, 0.5, 2.0))
    waits = jobs.claim("a", 30)
    assert waits is not None
    assert waits.id == "waits"
    assert jobs.cut("waits", "a", [0.0, 300.0])
    clock.now += 31
    gone_on = jobs.claim("b", 30)
    assert gone_on is not None
    assert (gone_on.id, gone_on.part) == ("begun", None)
    assert claimed(jobs, "c") == ("a.mp4", 0)


def test_two_services_that_begin_at_once_bring_the_tables_up_to_date_once(jobs: Jobs) -> None:
    older(jobs)
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(lambda _: jobs.prepare(), range(4)):
            pass
    assert jobs.known() == {"begun", "waits"}


def test_services_that_begin_at_once_make_the_tables_once(address: str) -> None:
    ready = threading.Barrier(6)

    def begin(_: int) -> None:
        table = Jobs(j.connect(address))
        ready.wait(10)
        table.prepare()
        table.close()

    for _ in range(4):
        with ThreadPoolExecutor(6) as pool:
            for _ in pool.map(begin, range(6)):
                pass
        engine = j.connect(address)
        with engine.begin() as connection:
            assert [*connection.execute(text("SELECT schema FROM mien_about")).scalars()] == [2]
        engine.dispose()
        dropped(address)


def test_a_database_that_is_gone_and_comes_back() -> None:
    with tempfile.TemporaryDirectory(prefix="mien-") as folder, postgres(Path(folder)) as server:
        engine = j.connect(server.address)
        table = Jobs(engine)
        table.prepare()
        job = table.add(Job("ann", "a.mp4"), 10)
        server.stop()
        for ask in (table.ping, lambda: table.claim("a", 30), table.counts):
            with pytest.raises(DatabaseAway, match=r"^the database does not answer: "):
                ask()
        server.start()
        assert table.get(job.id) == job
        engine.dispose()


@pytest.mark.parametrize(
    "address", ["jobs.sqlite", "mysql://x@y/z", "", "postgresql+nothing://x@y/z"]
)
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(ConfigError, match=r"--database takes sqlite:///FILE or postgresql://"):
        j.connect(address)


def test_postgresql_needs_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match="psycopg"):
        j.connect("postgresql://ann@host/jobs")


def test_a_password_is_not_told() -> None:
    with pytest.raises(ConfigError) as told:
        j.connect("mysql://ann:secret@host/jobs")
    assert "secret" not in str(told.value)


def test_sqlite_in_memory_needs_no_folder() -> None:
    engine = j.connect("sqlite://")
    Jobs(engine).prepare()
    engine.dispose()
