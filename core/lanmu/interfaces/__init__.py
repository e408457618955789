"""What the core and its plugins hand each other: frozen dataclasses and Protocols, no behaviour."""
