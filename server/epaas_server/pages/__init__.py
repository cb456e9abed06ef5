"""The pages that people read: the list of models, and the reliability report of each version.

    elements    what a page is made of: chapters of texts, tables and figures
    diagrams    figures, drawn from a report's numbers, with the numbers behind them
    chapters    the report as chapters, one module each
    render      pages as HTML

Pages are made of documents (reports, model versions) alone and need nothing from elsewhere: no scripts, no fonts, one
style sheet. Knows neither routes nor the registry.
"""

from epaas_server.pages.render import STATIC_FOLDER, Listed, listing_page, older_report_page, report_page

__all__ = ["STATIC_FOLDER", "Listed", "listing_page", "older_report_page", "report_page"]
