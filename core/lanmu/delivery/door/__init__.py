"""The last door: who may be sent what, when and how often, decided with the intent."""
