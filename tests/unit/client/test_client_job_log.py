from __future__ import annotations

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from epaas_client.job_log import JobLog, LoggedJob
from epaas_shared.errors import ConfigurationError
from epaas_shared.scores import ScoreScale


def entry(job_id: str) -> LoggedJob:
    return LoggedJob(
        id=job_id,
        server="http://127.0.0.1:8000",
        model="toy",
        version=1,
        evaluation_keys="a" * 64,
        input_schema="b" * 64,
        records=2,
        first_record=1,
        submitted=datetime(2030, 1, 1, tzinfo=UTC),
        source="a.csv",
        output="scores",
        scores=ScoreScale(bits=2, minimum=-3, step=2, temperature=1.7),
    )


@pytest.fixture
def log(tmp_path: Path) -> JobLog:
    return JobLog(tmp_path / "keys" / "jobs.jsonl")


def test_another_process_reads_what_was_written(log: JobLog) -> None:
    assert log.jobs() == []
    log.append(entry("one"))
    log.append(entry("two"))
    again = JobLog(log.path)
    assert again.jobs() == [entry("one"), entry("two")]
    assert again.find("two") == entry("two")
    assert again.find("three") is None


def test_an_entry_of_release_0_1_says_nothing_of_the_output(log: JobLog) -> None:
    fields = entry("one").model_dump(mode="json", exclude={"output", "scores"})
    log.path.parent.mkdir()
    log.path.write_text(json.dumps(fields) + "\n")
    assert log.jobs() == [entry("one").model_copy(update={"output": None, "scores": None})]


def test_forgotten_job_is_gone(log: JobLog) -> None:
    log.append(entry("one"))
    log.append(entry("two"))
    log.forget("one")
    assert log.jobs() == [entry("two")]


def test_line_that_a_crash_cut_off_loses_nothing_else(log: JobLog) -> None:
    log.append(entry("one"))
    log.append(entry("two"))
    log.path.write_bytes(log.path.read_bytes()[:-40])
    log.append(entry("three"))
    assert log.jobs() == [entry("one"), entry("three")]


def test_log_is_private(log: JobLog) -> None:
    log.append(entry("one"))
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_folder_in_its_place(log: JobLog) -> None:
    log.path.mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="cannot be written"):
        log.append(entry("one"))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        log.jobs()
