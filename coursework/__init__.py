"""Homework: build it from one source, and grade a folder of submissions in a sandbox (page "For instructors").

`source` reads an assignment, `build` makes everything from it by Otter and nbgrader, `python -m coursework` grades.
Nothing here imports Otter or nbgrader: they come with the extra `homework` and run as processes of their own.
"""
