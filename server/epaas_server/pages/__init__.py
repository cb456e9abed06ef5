"""The pages that people read: the list of models, and the reliability report of each version.

    chapters    the report as chapters, one module each
    comparison  reports side by side
    render      pages as HTML

Pages are made of documents (reports, model versions) alone and need nothing from elsewhere: no scripts, no fonts, one
style sheet. Knows neither routes nor the registry.
"""

from epaas_server.pages.comparison import Column
from epaas_server.pages.render import Listed, comparison_page, listing_page, older_report_page, report_page

__all__ = ["Column", "Listed", "comparison_page", "listing_page", "older_report_page", "report_page"]
