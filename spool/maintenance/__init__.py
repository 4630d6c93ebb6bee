"""What is looked after each hour: what a crash left behind is mended (doctor), what was kept long enough is forgotten.

Looks at every place that a message can be in. It is called by jobs and commands; no mail waits for it.
"""
