"""Where a message can be besides the spool, and how it gets there and back."""
