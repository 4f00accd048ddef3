"""Back up an installation, and restore it. `backup_manifest` describes the form of a backup."""
