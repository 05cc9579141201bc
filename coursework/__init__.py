"""Homework: built from one source, and a folder of submissions graded in a sandbox (page "For instructors").

`source` reads an assignment, `build` makes everything from it by Otter and nbgrader, `python -m coursework`
grades. Nothing here imports Otter or nbgrader: they come with the extra `homework` and run as processes of
their own.
"""
