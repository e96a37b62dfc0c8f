"""Files of ours and of others: opened safely, written whole, named freely."""
