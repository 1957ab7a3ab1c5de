"""The report page: one HTML file that shows a prediction or a screening and needs nothing else.

``collect`` reads nodes, ``render`` makes the page from what was read; ``assets`` holds its templates, style and
scripts, ``vendor`` the library that draws crystals.
"""
