"""The kill matrix, `make chaos`: rounds on the real stack whose parts are killed, stopped, starved and cut off.

The plan is `cells`: which fault hits which stage, and when. `matrix` plays it on a `site`: a stack with a small disk, a
`proxy` before its store and an `engine` that answers by a script. `stages` says from the proxy's calls where a round
is, `faults` does the harm, `published` compares what came out, `report` and `table` tell it.

`make crashes` is the same without Prefect, hundreds of faults in minutes: `crashes` kills the process in which `bare`
runs a round.
"""
