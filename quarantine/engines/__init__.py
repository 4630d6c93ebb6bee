"""The programs that look at mail, each behind a class of its own: virus scanners, and the checks for spam.

They are asked and answer; what follows from the answers is the stages' business. Nothing here touches rows.
"""
