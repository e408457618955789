"""积分: accounts, transactions, lots, offers and coupons; the only money-like writes."""
