"""The process that holds a grid is seen to work, to be killed, or to be silent for too long."""

from __future__ import annotations

import sys
from dataclasses import replace

from swarmgrid.following.sight import IDLE, KILLED, SILENT, WORKING, LeaseSight
from swarmgrid.store.lease_record import LeaseRecord
from tests import programs


def test_a_process_elsewhere_is_silent_once_its_lease_is_over() -> None:
    now = [0.0]
    sight = LeaseSight(lambda: now[0])
    record = replace(LeaseRecord.of_this_process(10.0), host="elsewhere")
    assert sight.judge(1, record.to_bytes()).state == WORKING
    now[0] = 9.0
    assert sight.judge(1, record.to_bytes()).state == WORKING
    beat = replace(record, beat=1)
    assert sight.judge(1, beat.to_bytes()).state == WORKING
    now[0] = 19.0
    assert sight.judge(1, beat.to_bytes()).state == WORKING
    now[0] = 19.1
    assert sight.judge(1, beat.to_bytes()).state == SILENT
    assert sight.judge(2, replace(beat, beat=2).to_bytes()).state == WORKING


def test_a_process_of_this_machine_that_is_gone_was_killed() -> None:
    here = LeaseRecord.of_this_process(10.0)
    assert here.is_here()
    sight = LeaseSight()
    assert sight.judge(1, here.to_bytes()).state == WORKING
    with programs.start([sys.executable, "-c", ""]) as child:
        pass
    gone = replace(here, pid=child.pid)  # the start of a process that is gone is not this one's
    assert sight.judge(1, gone.to_bytes()).state == KILLED
    assert not gone.is_here()


def test_a_lease_that_was_given_back_or_is_damaged_is_idle() -> None:
    here = LeaseRecord.of_this_process(10.0)
    assert LeaseSight().judge(1, replace(here, released=True).to_bytes()).state == IDLE
    assert LeaseSight().judge(1, b"{").state == IDLE
    assert LeaseSight().judge(1, None).state == IDLE


def test_the_estimate_of_a_run_grows_old_with_its_beat() -> None:
    now = [0.0]
    sight = LeaseSight(lambda: now[0])
    record = replace(LeaseRecord.of_this_process(10.0), seconds_left=60.0)
    assert sight.judge(1, record.to_bytes()).seconds_left == 60.0
    now[0] = 4.0
    assert sight.judge(1, record.to_bytes()).seconds_left == 56.0
    assert sight.judge(1, replace(record, beat=1, seconds_left=2.0).to_bytes()).seconds_left == 2.0
    now[0] = 9.0
    assert sight.judge(1, replace(record, beat=1, seconds_left=2.0).to_bytes()).seconds_left == 0.0
    assert (
        sight.judge(1, replace(record, beat=2, seconds_left=None).to_bytes()).seconds_left is None
    )
    now[0] = 30.0
    assert sight.judge(1, replace(record, beat=2, seconds_left=None).to_bytes()).state == SILENT
