"""Training jobs: a job is a folder; whoever holds its lock runs it.

:mod:`folder` owns what is in the folder and how it changes, :mod:`run` does the work in it, :mod:`slots` starts the
processes of a service's jobs and ends them. The command line and the service train by the same :func:`run.run`.
Knows no HTTP.
"""
