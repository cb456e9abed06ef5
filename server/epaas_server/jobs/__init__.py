"""Durable jobs: the queue is a table (docs/adr/0004), the worker a supervisor of one evaluation child."""
