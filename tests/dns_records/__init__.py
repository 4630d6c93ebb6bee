"""DNS records of domains and of the host: what is wanted, what is found, and what is said about it."""
