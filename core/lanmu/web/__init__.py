"""The web: the console's pages, the API, and the pages that plugins bring."""
