"""What a report says, as pure functions of a job's records: no HTML, no files, no clock."""
