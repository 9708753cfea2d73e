"""The schema of results, their files, and what people see of them: report and picture.

Asks the scores themselves what they are; knows no task by its name.
"""
