"""Where results come to rest: the ledger, the vault, metrics and the audit."""
