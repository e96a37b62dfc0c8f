"""The kind `people`: persons, companies and offices out of pages of search results."""
