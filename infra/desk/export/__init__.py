"""`cpl export`: pairs, imitated paths, models and whole rounds out of the factory, as other tools read them."""
