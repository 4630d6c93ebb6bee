"""How much each receiver takes from us, learned from what it answers, and the brakes that follow from it.

`classes` says what a reply is about, `pace` what follows from it for a receiver's limits: values in, values out. `limits`
keeps those limits for all workers in the database, `meter` counts against them in Redis, and `brakes` is what one worker
knows of them while it delivers. `destinations` is the face for pages and commands: what there is, and acts on it. It
looks down to models, rows and replies, and knows nothing of connections.
"""
