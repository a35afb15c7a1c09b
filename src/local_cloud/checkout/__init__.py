"""The checkout: its sources, its template and the environments of its tools."""
