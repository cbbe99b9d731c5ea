"""A published round as one HTML page that needs no server and no network: figures, and an explorer of its trees."""
