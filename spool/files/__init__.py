"""The message files, and what keeps them and the rows in step."""
