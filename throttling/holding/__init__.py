"""Mail that waits because of a limit: which, until when, and letting it go."""
