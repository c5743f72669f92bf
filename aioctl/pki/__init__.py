"""Keys and certificates as bytes: what webhooks serve and what services carry. No files, no sockets, no clock."""
