"""The user site, `/me/`: what people see of their own account, and domain administrators of their domain.

Not the console: nothing here reaches beyond the own account or the own domain, and each view says so by its decorator.
"""
