"""Many machines with one database and one Redis: how much more they do than one, and what the death of one costs.

Each is a home with programs of its own on this computer, MAILSPOOL_STORE is database, and nothing is shared but
PostgreSQL and Redis. What is measured is what a next hop far away makes of it: many machines on one computer have no
more cores than one.
"""
