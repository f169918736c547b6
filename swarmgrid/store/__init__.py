"""The stored bytes: whole objects in any store, their keys, and the JSON documents among them."""
