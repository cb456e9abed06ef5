"""The EPAAS server: HTTP interface, model registry, jobs and encrypted evaluation. It never sees a secret key."""
