"""The database of the ledger: connection, tables, transactions and migrations."""
