"""What a deployment learns of its own speed: rates once, then how evaluations compared with them."""

from __future__ import annotations

import threading

import pytest
from cost_making import RATES, cost
from sqlalchemy import Engine

from epaas_server.calibration import Calibrated, Calibration
from epaas_server.database import open_database

PROFILE, OTHER = "c" * 64, "d" * 64
COST = cost(calls={"threshold6": {64: 2}}, products=7)
ALONE = COST.seconds(RATES)


@pytest.fixture
def calibration(database: Engine) -> Calibration:
    return Calibration(database)


@pytest.fixture
def measured(calibration: Calibration) -> Calibration:
    calibration.measured(PROFILE, RATES)
    return calibration


def known(calibration: Calibration) -> Calibrated:
    found = calibration.of(PROFILE)
    assert found is not None
    return found


def seconds(calibration: Calibration, records: int = 1) -> float:
    """That so many records of ``COST`` are predicted to take."""
    return known(calibration).seconds(COST, records)


def test_nothing_is_predicted_before_rates_were_measured(calibration: Calibration) -> None:
    assert calibration.of(PROFILE) is None
    calibration.observed(PROFILE, COST, 1, 5.0)
    assert calibration.of(PROFILE) is None


def test_measured_rates_predict_by_themselves(measured: Calibration) -> None:
    assert known(measured).rates == RATES
    assert seconds(measured) == pytest.approx(ALONE)
    assert seconds(measured, 3) == pytest.approx(COST.seconds(RATES, 3))


def test_rates_are_those_of_a_profile(measured: Calibration) -> None:
    assert measured.of(OTHER) is None
    measured.measured(OTHER, RATES.model_copy(update={"call": 7.0}))
    measured.observed(OTHER, COST, 1, 1000.0)
    assert seconds(measured) == pytest.approx(ALONE)


def test_each_evaluation_moves_predictions_towards_what_it_took(measured: Calibration) -> None:
    for expected in (0.7 * 1 + 0.3 * 2, 0.7 * 1.3 + 0.3 * 2, 0.7 * 1.51 + 0.3 * 2):
        measured.observed(PROFILE, COST, 1, 2 * ALONE)
        assert seconds(measured) == pytest.approx(expected * ALONE)
    for _ in range(40):
        measured.observed(PROFILE, COST, 1, 0.5 * ALONE)
    assert seconds(measured) == pytest.approx(0.5 * ALONE, rel=1e-4)


def test_an_evaluation_as_predicted_changes_nothing(measured: Calibration) -> None:
    measured.observed(PROFILE, COST, 4, COST.seconds(RATES, 4))
    assert seconds(measured) == pytest.approx(ALONE)


def test_what_a_small_evaluation_taught_scales_a_large_one(measured: Calibration) -> None:
    measured.observed(PROFILE, cost(), 1, 2 * cost().seconds(RATES))
    assert seconds(measured, 5) == pytest.approx(1.3 * COST.seconds(RATES, 5))


def test_many_jobs_queued_at_once_do_not_correct_the_same_error_over_and_over(measured: Calibration) -> None:
    """All were predicted before the first was done; the machine is steadily a quarter slower than its rates."""
    for _ in range(30):
        measured.observed(PROFILE, COST, 1, 1.25 * ALONE)
    assert seconds(measured) == pytest.approx(1.25 * ALONE, rel=1e-3)


def test_new_rates_forget_what_was_learnt_of_the_old(measured: Calibration) -> None:
    measured.observed(PROFILE, COST, 1, 9 * ALONE)
    faster = RATES.model_copy(update={"call": 0.25})
    measured.measured(PROFILE, faster)
    assert known(measured).rates == faster
    assert seconds(measured) == pytest.approx(COST.seconds(faster))


def test_what_was_learnt_is_the_deployments_and_not_the_processs(measured: Calibration, address: str) -> None:
    measured.observed(PROFILE, COST, 1, 2 * ALONE)
    again = open_database(address)
    try:
        assert known(Calibration(again)).rates == RATES
        assert seconds(Calibration(again)) == seconds(measured)
    finally:
        again.dispose()


def test_workers_that_measure_at_once_leave_one_set_of_rates(calibration: Calibration) -> None:
    """Rates of one of them, whole."""
    each = [RATES.model_copy(update={"call": float(number), "value": float(number)}) for number in range(1, 9)]
    errors: list[Exception] = []
    gate = threading.Barrier(len(each))

    def measure(number: int) -> None:
        gate.wait()
        try:
            calibration.measured(PROFILE, each[number])
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=measure, args=(number,)) for number in range(len(each))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert known(calibration).rates in each
