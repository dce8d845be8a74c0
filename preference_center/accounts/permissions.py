"""What each role may do, as data: a change of this table takes effect at a person's next request."""

from enum import StrEnum


class Role(StrEnum):
    owner = "owner"
    marketer = "marketer"
    viewer = "viewer"


class Permission(StrEnum):
    look = "look"  # campaigns, reports, topics and contacts, addresses masked
    see_addresses = "see_addresses"  # addresses and attributes in full
    import_contacts = "import_contacts"
    change_consent = "change_consent"  # write down what a person said by phone or letter
    edit_topics = "edit_topics"
    write_campaigns = "write_campaigns"  # also test sends to colleagues
    send = "send"  # start, schedule, pause, resume and cancel
    handle_events = "handle_events"  # let held reports act or drop them, have posts read again
    export = "export"
    manage_users = "manage_users"


_MARKETER = frozenset(Permission) - {Permission.manage_users}

MAY: dict[Role, frozenset[Permission]] = {
    Role.owner: frozenset(Permission),
    Role.marketer: _MARKETER,
    Role.viewer: frozenset({Permission.look}),
}

# With these a lost password would be everybody's loss, so they need a second factor (ASVS V6.3.3).
_WEIGHTY = {Permission.send, Permission.export, Permission.see_addresses, Permission.manage_users}


def may(role: Role, permission: Permission) -> bool:
    return permission in MAY[role]


def roles_with(permission: Permission) -> list[Role]:
    return [role for role in Role if may(role, permission)]


def needs_second_factor(role: Role) -> bool:
    return bool(MAY[role] & _WEIGHTY)
