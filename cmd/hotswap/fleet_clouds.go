//go:build !nocloud

package main

// s3:// and azblob:// are nearly half of the command, which the build tag nocloud leaves out.
// gs:// alone would be as large as both together: docs/fleet.md says how to have it.
import (
	_ "gocloud.dev/blob/azureblob"
	_ "gocloud.dev/blob/s3blob"
)
