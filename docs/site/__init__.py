"""Build the documentation as a web site: ``python -m docs.site``.

The pages are plain Markdown that a code host renders, too. What only the site has is added in a
copy of them: the navigation, the gallery, notebooks, links between names, and ``llms.txt``.
"""
