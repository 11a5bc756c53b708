"""What the administrator changes: each function is one decision, made inside the caller's transaction.

Raises Misconfigured with one sentence that says what to do; the transaction is then rolled back and nothing has
happened. Every change moves the revision, so that services read the registry again for the next association, and leaves
a note of who made it.
"""

from archive.registry.changes.areas import ENCODING_SETTINGS, add_area, hold_area, remove_area, set_area, share_area
from archive.registry.changes.founding import begin, found
from archive.registry.changes.named import group_row, require_free_name
from archive.registry.changes.peers import add_peer, remove_peer, set_peer
from archive.registry.changes.profiles import put_profile, remove_profile
from archive.registry.changes.rules import add_rule, remove_rule, remove_rules
from archive.registry.changes.titles import add_title, remove_title, set_title
from archive.registry.changes.users import add_user, remove_user, require_user_name, set_user

__all__ = [
    "ENCODING_SETTINGS",
    "add_area",
    "add_peer",
    "add_rule",
    "add_title",
    "add_user",
    "begin",
    "found",
    "group_row",
    "hold_area",
    "put_profile",
    "remove_area",
    "remove_peer",
    "remove_profile",
    "remove_rule",
    "remove_rules",
    "remove_title",
    "remove_user",
    "require_free_name",
    "require_user_name",
    "set_area",
    "set_peer",
    "set_title",
    "set_user",
    "share_area",
]
