"""`lanmu …`: one file a room, loaded when it is called for."""
