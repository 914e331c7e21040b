"""The documentation site: built from README.md and docs/ by `python -m docs_site`."""
