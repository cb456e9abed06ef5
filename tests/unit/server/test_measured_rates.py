"""A machine's rates from timed calls: a machine of known rates, on a clock that only its work moves, has those."""

from __future__ import annotations

import pytest
from cost_making import RATES

from epaas_server.circuits.definitions import MAJORITY, THRESHOLDS, Circuit
from epaas_server.cost import Rates
from epaas_server.engine import calibrate
from epaas_shared.profile import default_profile
from epaas_shared.zerokey import Torus, ZeroKey


class PretendMachine:
    """Whose calls take what ``rates`` say."""

    def __init__(self, rates: Rates) -> None:
        self.rates = rates
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def bootstrap(self, circuit: Circuit, sums: Torus) -> Torus:
        assert len(sums) in circuit.batch_sizes
        self.now += self.rates.call_seconds(circuit, len(sums))
        return sums


@pytest.mark.parametrize("threads", [1, 2, 3, 16, 64, 200])
def test_known_rates_are_found(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    known = RATES.model_copy(update={"threads": threads})
    machine = PretendMachine(known)
    monkeypatch.setattr(calibrate, "time", machine)
    profile = default_profile()
    zero_key = ZeroKey.from_bytes(bytes(ZeroKey.byte_length(profile.lwe_dimension)), profile.lwe_dimension)
    found = calibrate.measure_rates(machine.bootstrap, zero_key, profile, threads)
    for circuit in (MAJORITY, THRESHOLDS[-1]):
        for batch in circuit.batch_sizes:
            assert found.call_seconds(circuit, batch) == pytest.approx(known.call_seconds(circuit, batch))
    if threads < 200:  # where all sums of the largest batch are bootstrapped at once, the parts cannot be told apart
        assert (found.call, found.precise_bootstrap, found.extraction) == pytest.approx(
            (known.call, known.precise_bootstrap, known.extraction)
        )
