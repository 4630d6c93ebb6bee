"""What the forms of the console and of the user site have in common: one check, and one sentence for each error.

The pages add their look (accounts.admin, mailspool.portal), and whom they let change what. Looks down on models.
"""
