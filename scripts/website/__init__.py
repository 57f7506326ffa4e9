"""The site: docs/ for a browser, with README as its front page and the library's docstrings.

make docs    build it into site/, strictly and without a network
"""
