"""The functions of the package for Python programs: batch files, plans, and runs made in this process."""
