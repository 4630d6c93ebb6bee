"""The drop folder: files that become messages."""
