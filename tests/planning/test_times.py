"""``swarmgrid plan`` says the time by axis value, and the time limit of a batch job."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.shell import MODEL, shell


@pytest.mark.parametrize("is_stored", [True, False])
def test_the_time_limit_is_all_that_is_written(tmp_path: Path, is_stored: bool) -> None:
    model, store = tmp_path / f"times_{is_stored}.py", tmp_path / "cache"
    model.write_text(MODEL)
    given = [f"{model}:plain", "-S", store, "-a", "y=1,2"]
    if is_stored:
        assert shell("run", *given, "-a", "x=1,2", "--workers", "1").code == 0
    done = shell("plan", *given, "-a", "x=1:9", "--slurm-time", "--workers", "4")
    if not is_stored:
        assert done.code == 2
        assert "no stored point says what a point takes" in done.err
        return
    assert (done.code, done.out, done.err) == (0, "00:01:00\n", "")
    table = shell("plan", *given, "-a", "x=1:9", "--by", "x").out
    assert "seconds" in table
    found = shell("plan", *given, "-a", "x=1:9", "--by", "x", "--slurm-time", "--json").document
    assert found["slurm_time"] == "00:01:00"
    assert [row["points"] for row in found["times"]] == [0, 0, 2, 2, 2, 2, 2, 2]
    assert found["seconds_band"][0] <= found["seconds"] <= found["seconds_band"][1]
    assert shell("plan", *given, "-a", "x=1:9", "--by", "z").code == 2
    assert shell("plan", *given, "-a", "x=1:9", "--slurm-time", "--safety", "0").code == 2
