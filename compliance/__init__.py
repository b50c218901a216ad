"""Rights, duties and evidence: what is recorded about whom, and how it becomes durable. Knows no media."""
