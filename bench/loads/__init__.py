"""How fast mail of other kinds goes than the small messages of `bench.mail_flow`: each beside Postfix in the same run.

A part starts its systems, has them take turns with one kind of mail, and stops them. It looks at rates and at CPU; what
is right is the tests' affair.
"""
