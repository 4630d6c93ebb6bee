"""First run: the list of what is left to do on a new installation, which ticks itself.

What is so is said by the looks of mailspool.inspection, by rows, and by the trace; nothing is ticked by hand.
"""
