"""What every room stands on and that knows nothing of mail: clocks, locks, times, secrets, settings, audit."""
