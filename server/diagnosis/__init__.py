"""What `conclave doctor` looks at: each check is a function from facts to findings, the facts gathered apart."""
