"""Reading a tree of files: what is in it, its JSON, its images; moving what is done."""
