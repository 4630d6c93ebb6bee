"""Looking for viruses."""
