//go:build !unix

package driver

// A file that a process has open can't be renamed over on Windows, and there
// are no leases, flocks or Unix socket credentials: this is a build error.
var _ = hotswap_needs_a_Unix_system
