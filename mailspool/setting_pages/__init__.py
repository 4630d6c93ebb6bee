"""Settings in the console, section by section: one form each, what differs from the default, who changed what last.

Sections are declared by the models (`base.one_row`, `base.declared_settings`); forms are those of the admin site's
pages, which keep what else belongs to them: engines, checks and their test boxes.
"""
