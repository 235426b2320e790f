"""Making models from labelled texts, and measuring them. Needs the extra `yiwang[train]`; triage does not."""
