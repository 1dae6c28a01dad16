package main

// What the commands of a fleet reach chunks in a directory with. What they reach those in a
// cloud's storage with is in fleet_clouds.go.
import (
	_ "gocloud.dev/blob/fileblob"

	_ "hotswap/fleet/objects"
)
