"""The queue service: an HTTP API and a web page in front of the ledger and the folder that its workers use."""
