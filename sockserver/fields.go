package sockserver

// The keys of the log's fields.
const (
	fieldID     = "id"
	fieldUID    = "uid"
	fieldGID    = "gid"
	fieldPID    = "pid"
	fieldComm   = "command"
	fieldVerb   = "verb"
	fieldPath   = "path"
	fieldSocket = "socket"
	fieldDigest = "sha256"
	fieldStatus = "status"
	fieldPanic  = "panic"
	fieldStack  = "stack"
)
