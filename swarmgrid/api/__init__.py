"""The calls of users: functions, the decorator, and the handle of a stored grid."""
