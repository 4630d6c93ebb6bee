"""Commands of the accounts: `account`, `firstadmin`."""
