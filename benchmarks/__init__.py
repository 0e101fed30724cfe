"""Cases, arms, scoring and the report; one benchmark per question, its last line one JSON object."""
