"""What a session leaves behind for people and scripts: manifests, audit trail, reports, monitors, session summaries."""
