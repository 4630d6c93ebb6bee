"""Commands of throttling: `throttle`."""
