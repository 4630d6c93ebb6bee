"""The menu of a thing wherever the console names it, the dialogs of its actions, and doing them.

What a menu has is said by the actions themselves (base.actions.registry); here it is drawn, and nothing is done.
"""
