"""How much each receiver takes from us, learned from what it answers, and the brakes that follow from it.

`classes` says what a refusal is about. It looks down to models, rows and replies, and knows nothing of connections.
"""
