"""What every room stands on and what knows nothing of mail: clocks, locks, times, secrets, one-row tables."""
