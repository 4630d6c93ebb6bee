"""What is written about the commands: a page, a man page and completion, made from their own parsers.

Made when a package is built, or by `make manual`, and not kept.
"""
