"""Who works here? Users, what their role allows, and the audit trail."""
