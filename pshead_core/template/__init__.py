"""What `pshead new` writes: a complete plugin package that installs, is listed and passes its conformance tests."""

from pshead_core.template.create import TEMPLATE_KINDS, create

__all__ = ["TEMPLATE_KINDS", "create"]
