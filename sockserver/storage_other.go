//go:build !linux

package sockserver

// fileSystemOf names none: what does not last goes by other names elsewhere.
func fileSystemOf(string) string { return "" }
