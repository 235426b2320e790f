"""Every decision, pure: no clock, no disk, no network; the same input gives the same answer."""
