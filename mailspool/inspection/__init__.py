"""What `mailspool check` looks at: the machine, its servers and the world's view of them, each fault as a sentence.

A look is a function without arguments that yields findings; settings.MAILSPOOL_CHECKS names them in order, and a
plug-in appends its own. Nothing is changed here. Not for whether mail flows right now: that is mailspool.health.
"""
