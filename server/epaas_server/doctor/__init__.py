"""``epaas-server doctor``: looks at an installation, says what is wrong with it, and how to mend it.

It changes nothing that stays. A check is a function of a :class:`~epaas_server.doctor.patient.Patient` that yields
what it finds; :data:`~epaas_server.doctor.examination.CHECKS` lists them.
"""
