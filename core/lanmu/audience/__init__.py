"""社群与会员: communities, members, their identities at the channels, tags and consent."""
