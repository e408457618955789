"""成员与权限: staff accounts, roles, sessions, API tokens and the audit log."""
