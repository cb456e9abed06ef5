"""``epaas-train serve``: trainings over HTTP. Routes over the queue of jobs and the provider's own tasks.

What a training does is for :mod:`epaas_models.jobs`; this package knows HTTP and nothing of networks.
"""
