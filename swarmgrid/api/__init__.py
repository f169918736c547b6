"""The calls of users: functions, the decorator, the catalog."""
