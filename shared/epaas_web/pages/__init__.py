"""What pages of all services are made of: texts, tables and figures as data, their HTML, one style sheet, no scripts.

    elements       what a page is made of
    diagrams       figures, with the numbers behind them
    environment    templates, and the headers that pages are sent with

Knows no service's documents.
"""
