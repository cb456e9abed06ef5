"""The reliability report beside a model: the document, which the training side writes and everybody else reads.

It is part of the bundle and covered by its digest. One module a chapter:

    document        Report: all of it
    measures        a number with its interval; where it comes from
    accuracy        accuracy, baselines, classes, subgroups
    calibration     how far confidence is to be believed, before and after scaling
    robustness      threat models, attacks, certificates, and whether the attacks are to be believed
    generalisation  gaps, margins, norms, sensitivity
    agreement       integers against torch, encrypted against plain, and what that cost

Numbers are finite: what could not be measured is null, and a warning says why.
"""

from epaas_shared.report.document import REPORT_FORMAT, Report, read_report, report_bytes, report_json_schema

__all__ = ["REPORT_FORMAT", "Report", "read_report", "report_bytes", "report_json_schema"]
