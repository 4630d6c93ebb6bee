"""A whole Mailspool between other people's software: Postfix, swaks, Dovecot, and a real DNS."""
