"""Plugins: listed without import, selected by the configuration, offered through a typed host."""
