"""What the function prints and logs in a worker arrives: in whole lines, in order, bounded."""

from __future__ import annotations

import io
import logging
import multiprocessing
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import swarmgrid
from swarmgrid.process_pool.output import Output
from swarmgrid.process_pool.process import _pipes
from swarmgrid.worker.output import ERROR, MAX_LINE, MAX_TEXT, Levels, Lines, Sender
from tests.long import examples

log = logging.getLogger("tests.model")


class Shown(io.StringIO):
    """Takes what is printed, as one stream of pairs."""

    def __init__(self, kind: str, told: list[tuple[str, str]]) -> None:
        super().__init__()
        self._kind, self._told = kind, told

    def write(self, text: str) -> int:
        self._told += [(self._kind, line) for line in text.splitlines()]
        return len(text)


class Keeper(logging.Handler):
    def __init__(self, told: list[Any]) -> None:
        super().__init__()
        self.told = told

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(("log", record.getMessage()))


@pytest.fixture
def records() -> Iterator[list[Any]]:
    """The records that the logger of this module handles."""
    found: list[Any] = []
    handler = logging.Handler()
    handler.emit = found.append
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield found
    log.removeHandler(handler)
    log.setLevel(logging.NOTSET)


def run(func: Any, n: int, store: Path, **options: Any) -> swarmgrid.Diagnostics:
    options = {"executor": "processes", "workers": 2, "exec_chunk_size": 1, **options}
    return swarmgrid.stream(func, axes={"x": range(n)}, store=store, version="1", **options)


def told(x: int) -> int:
    print("point", x, "begins")
    log.info("in the middle of %d", x, extra={"thing": object(), "point": x})
    log.debug("no logger asks for this")
    os.write(1, b"not Python\n")
    try:
        int(f"no {x}")
    except ValueError:
        log.exception("failed at")
    print("point", x, "ends", end="")
    return x


def test_prints_and_records_arrive_whole_and_in_order(
    tmp_path: Path, records: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run(told, 8, tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert sorted(lines) == sorted(
        line for x in range(8) for line in (f"point {x} begins", "not Python", f"point {x} ends")
    )
    assert {record.process for record in records}.isdisjoint({os.getpid()})
    for pid in {record.process for record in records}:
        mine = [record for record in records if record.process == pid]
        assert [r.levelname for r in mine] == ["INFO", "ERROR"] * (len(mine) // 2)
    for x in range(8):
        first, second = (r for r in records if r.swarmgrid_point == {"x": x})
        assert first.getMessage() == f"in the middle of {x}"
        assert first.point == x
        assert first.thing.startswith("<object object")
        assert f"'no {x}'" in second.exc_text
        assert lines.index(f"point {x} begins") < lines.index(f"point {x} ends")


@pytest.mark.parametrize("executor", ["sync", "threads"])
def test_records_of_the_same_process_carry_their_point(
    tmp_path: Path, records: list[Any], executor: str
) -> None:
    factory = logging.getLogRecordFactory()
    run(told, 3, tmp_path, executor=executor)
    points = [r.swarmgrid_point["x"] for r in records if r.levelname == "INFO"]
    assert sorted(points) == [0, 1, 2]
    assert logging.getLogRecordFactory() is factory


def dies(x: int) -> int:
    print("last words of", x)
    sys.stderr.write("a line of stderr\nand no line")
    if x == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def test_the_last_lines_of_a_worker_that_is_killed_arrive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(dies, 4, tmp_path, on_error="record").points_failed == 1
    shown = capsys.readouterr()
    assert set(shown.out.splitlines()) == {f"last words of {x}" for x in range(4)}
    n = shown.out.count("of 2\n")  # it was given a second worker
    assert shown.err.splitlines().count("a line of stderr") == 3 + n
    assert shown.err.splitlines().count("and no line") == 3


def floods(x: int) -> int:
    for _ in range(200):
        print("x" * 50_000)
    print("y" * 5_000_000, end="")
    return x


class Sink(io.TextIOBase):
    """Counts what is written, and what is written at once."""

    def __init__(self) -> None:
        self.n = self.largest = 0

    def write(self, text: str) -> int:
        self.n += len(text.replace("\n", ""))
        self.largest = max(self.largest, len(text))
        return len(text)


def test_a_flood_arrives_in_small_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Sink()
    monkeypatch.setattr(sys, "stdout", sink)
    run(floods, 2, tmp_path)
    assert sink.n == 2 * (200 * 50_000 + 5_000_000)
    assert sink.largest <= 3 * MAX_LINE


class Broken(io.TextIOBase):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_stream_that_no_process_reads_does_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Broken())
    assert run(floods, 2, tmp_path).points_computed == 2


ITEMS = st.lists(
    st.tuples(
        st.sampled_from(["stdout", "stderr", "log", "raw"]),
        st.text(
            st.characters(blacklist_categories=["Cs"], blacklist_characters="\n")
            | st.sampled_from("\r "),
            max_size=40,
        ),
        st.sampled_from(["\n", ""]),
    ),
    max_size=30,
)


def seen(text: str) -> list[str]:
    """What a terminal shows in the end of a bar that is drawn over and over; nothing if wiped."""
    if "\r" in text:
        text = text.rstrip("\r").rpartition("\r")[2]
        if not text.strip():
            return []
    return (text + "\n").splitlines()


@settings(max_examples=examples(60))
@example([("stdout", "", ""), ("stderr", "\r 20 %\r 40 %\r     \r", "\n")])
@example([("stderr", "\r 20 %\r 100 %", "\n"), ("stdout", "\r|", ""), ("log", "a\rb", "\n")])
@given(ITEMS)
def test_whatever_is_written_arrives_in_the_order_of_its_line_ends(
    items: list[tuple[str, str, str]],
) -> None:
    (tasks, other), (out, their_out), (err, their_err) = _pipes()
    found: list[tuple[str, str]] = []
    handler = Keeper(found)
    sink = logging.getLogger("tests.sink")
    sink.propagate, sink.handlers = False, [handler]
    sink.setLevel(logging.INFO)
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Shown("stdout", found), Shown("stderr", found)
    output = Output()
    try:
        source = output.add(out, err)
        lock = threading.RLock()
        fd = their_out.fileno()
        lines = {
            "stdout": Lines(1, b"", lock, fd),
            "stderr": Lines(2, source.mark + ERROR, lock, fd),
        }
        sender = Sender(lines["stdout"], source.mark)
        expected, begun = [], {"stdout": "", "stderr": ""}
        for kind, text, end in items:
            if kind == "log":
                sender.emit(logging.LogRecord("tests.sink", logging.INFO, "", 0, text, None, None))
                expected.append(("log", text))
            elif kind == "raw":
                os.write(fd, f"{text}\n".encode())
                expected += [("stdout", line) for line in seen(text)]
            else:
                lines[kind].write((text + end).encode())
                begun[kind] += text
                if end:
                    expected += [(kind, line) for line in seen(begun[kind])]
                    begun[kind] = ""
        for connection in (tasks, other, their_out, their_err):
            connection.close()
        source.end()
    finally:
        output.close()
        sys.stdout, sys.stderr = streams
    assert found == expected


def test_the_levels_of_the_caller_hold_in_a_worker() -> None:
    name = "tests.levels"
    logging.getLogger(name).setLevel(logging.ERROR)
    levels = Levels.of_this_process()
    before = logging.root.level
    try:
        logging.getLogger(name).setLevel(logging.DEBUG)
        logging.root.setLevel(logging.CRITICAL)
        levels.set()
        assert logging.getLogger(name).level == logging.ERROR
        assert logging.root.level == before
    finally:
        logging.root.setLevel(before)
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_record_is_cut_to_what_a_line_can_hold() -> None:
    read, write = os.pipe()
    lines = Lines(1, b"", threading.RLock(), write)
    text = "x" * (10 * MAX_TEXT)
    record = logging.LogRecord("n", logging.INFO, "", 0, text, None, None)
    record.__dict__.update({f"extra{n}": text for n in range(30)})
    sent = []
    with os.fdopen(read, "rb") as end:
        thread = threading.Thread(target=lambda: sent.append(end.read()))
        thread.start()
        Sender(lines, b"mark").emit(record)
        os.close(write)
        thread.join()
    assert re.fullmatch(rb"markr[A-Za-z0-9+/=]+\n", sent[0])
    assert len(sent[0]) < MAX_LINE


class Unwieldy:
    """A pipe that cannot be taken in."""

    def read(self) -> bool:
        raise RuntimeError("no")


def test_trouble_with_one_worker_costs_the_others_nothing(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (tasks, other), (out, their_out), (err, their_err) = _pipes()
    output = Output()
    source = output.add(out, err)
    read, write = os.pipe()
    output._ask(lambda: output._selector.register(read, 1, Unwieldy()))
    os.write(write, b"x")
    while not caplog.records:
        threading.Event().wait(0.005)
    os.write(their_out.fileno(), b"still here\n")
    output._ask(lambda: output._selector.unregister(read))
    for connection in (tasks, other, their_out, their_err):
        connection.close()
    source.end()
    output.close()
    source.end()  # the thread is gone: nothing to wait for
    os.close(read)
    os.close(write)
    assert "output of a worker is lost" in caplog.text
    assert capsys.readouterr().out == "still here\n"


def takes_a_semaphore(x: int) -> str:
    lock = multiprocessing.get_context("spawn").RLock()  # as tqdm does
    threading.current_thread().kept = lock  # type: ignore[attr-defined]
    return str(lock._semlock.name)  # type: ignore[attr-defined]


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="semaphores are files on Linux")
def test_a_worker_releases_what_it_holds_before_it_ends(tmp_path: Path) -> None:
    ds = swarmgrid.compute(
        takes_a_semaphore, axes={"x": [1, 2]}, store=tmp_path, executor="processes", workers=2
    )
    names = ds["value"].values
    assert all(name.startswith("/mp-") for name in names)
    assert not any(Path(f"/dev/shm/sem.{name[1:]}").exists() for name in names)
