"""How much mail goes where: each receipt and each delivery counted once, by sender, client IP, recipient and domain.

Intake and completion add one row to TrafficBatch in the very transaction that makes a batch durable
(spool.rows.traffic_batches); one process at a time takes those rows away and adds them to buckets and totals, again in
one transaction (`rolling`). So each is counted exactly once, whatever is killed when. Pages and alerts read buckets and
totals (`reading`, `series`).
"""
