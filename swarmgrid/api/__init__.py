"""What users call: functions, the decorator, and the handle of a stored grid."""
