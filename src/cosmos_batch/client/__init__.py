"""The client of a server: for the command line and for Python programs."""
