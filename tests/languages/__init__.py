"""Languages: catalogues that are whole, pages and mail in them, and who gets which."""
