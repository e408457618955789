"""What people read: the board's figures, the mix as planned and as sent, and what waits for somebody."""
