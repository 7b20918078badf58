"""From records to cleaned units."""
