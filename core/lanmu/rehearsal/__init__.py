"""演练: the columns' coming weeks, played through on virtual recipients and held against what is due."""
