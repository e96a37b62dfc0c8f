"""The kind `people`: persons, companies and offices from pages of search results."""
