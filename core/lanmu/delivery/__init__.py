"""推送: pushes, units, targets and attempts; the one door through which everything goes out."""
