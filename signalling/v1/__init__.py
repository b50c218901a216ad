"""What LiveKit's protocol has no word for, under `/v1`: reading the audit log, receipts for participants."""
