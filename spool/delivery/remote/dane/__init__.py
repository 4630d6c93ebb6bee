"""DANE for mail we send (RFC 7672, RFC 6698): what a domain's own signed DNS says of its hosts' certificates.

`lookup.py` asks for a host's TLSA records, `records.py` has those that are of use, `certificates.py` compares them with
what a host presents. Which hosts they may be asked of is known with their addresses (mx.py), whether our resolver can
be believed by validation.py. Nothing here decides what follows: that is safeguards.py.
"""
