"""How much each receiver takes from us, learned from what it answers, and the brakes that follow from it.

`classes` says what a refusal is about, `pace` what follows from it for a site: values in, values out. `limits` keeps
that for all workers in the database, `meter` counts turns in Redis, and `brakes` is what one worker knows while it
delivers. It looks down to models and replies, and knows nothing of connections.
"""
