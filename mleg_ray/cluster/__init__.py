"""The only modules that know Ray: they carry the house's pure parts to many processes."""
