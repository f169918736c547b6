"""The calls of users on a whole store: catalog, copies, merges, scopes, its page, its events."""
