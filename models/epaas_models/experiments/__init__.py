"""The experiments of the thesis's chapters 4 to 7: typed configurations, runs kept as logs, claims judged by the logs.

:mod:`experiment` says what an experiment is, :mod:`runner` runs what has no log yet, :mod:`logs` keeps what came out,
:mod:`claims` and :mod:`table` set it beside what the thesis says. A folder a chapter defines the experiments.
Knows nothing of encryption and nothing of servers.
"""
