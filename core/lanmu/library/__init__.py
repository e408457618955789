"""素材库: materials with their revisions and assets, tags, review, search, and the sync with files."""
