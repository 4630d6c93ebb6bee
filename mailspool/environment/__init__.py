"""The environment: which variables there are, what each may be, and a sentence for each that is wrong.

`variables` declares each once; `reading` reads them all and collects every fault; `kinds` are the kinds of values;
`table` is the list in docs/configuration.md. Not for how mail is handled: that is the console's (spool.Settings).
Nothing here needs Django to be set up.
"""
