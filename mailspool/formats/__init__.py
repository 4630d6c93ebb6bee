"""How Django writes dates and times where it does so itself (FORMAT_MODULE_PATH): as the rest of the console does."""
