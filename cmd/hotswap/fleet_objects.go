package main

// What the commands of a fleet reach chunks in object storage with: file://, s3:// and
// azblob://. gs:// is linked with the build tag gcs alone, as it is as large as all of these.
import (
	_ "gocloud.dev/blob/azureblob"
	_ "gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/s3blob"

	_ "hotswap/fleet/objects"
)
