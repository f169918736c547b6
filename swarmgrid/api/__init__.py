"""The calls of users that compute: functions, the decorator, and what xarray is given."""
