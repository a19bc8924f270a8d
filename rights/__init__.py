"""What a person may ask for: rows taken out of days, kept apart, put back; each proven and certified."""
