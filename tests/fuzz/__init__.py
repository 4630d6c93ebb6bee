"""Every reader of what strangers write, fed with inputs that nobody wrote: it raises nothing but what it says, and its
time is bounded.

A target is a function of bytes (`target.py`); inputs come from its kept corpus, from pieces that Hypothesis puts
together, from one piece repeated until the input is as long as its door lets in, and, by hand, from a fuzzer that is
led by the code it reaches (`guided.py`). Not for behaviour: that has its own tests.
"""
