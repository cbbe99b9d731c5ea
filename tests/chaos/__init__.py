"""The kill matrix, `make chaos`: rounds on the real stack whose parts are killed, stopped, starved and cut off."""
