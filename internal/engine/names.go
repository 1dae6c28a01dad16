package engine

import (
	"errors"
	"fmt"
	"regexp"
)

const (
	// ChunkStream has the bytes of all versions.
	ChunkStream = "HOTSWAP_CHUNKS"
	// ChunkSubjects is the filter for all chunks.
	ChunkSubjects = chunkPrefix + ">"
	chunkPrefix   = "hotswap.chunk."

	// FleetBucket has what decides: versions, orders, progress, pins.
	FleetBucket = "hotswap-fleet"
	// NodesBucket has what nodes say of themselves, again and again: the disk does not sync it.
	NodesBucket = "hotswap-nodes"
	// HasBucket has what nodes have swapped in, for after a restart.
	HasBucket = "hotswap-has"
)

// ChunkSubject returns the subject of the chunk that has that name.
func ChunkSubject(name string) string { return chunkPrefix + name }

// ChunkName is the reverse; "" for a subject of something else.
func ChunkName(subject string) string {
	if len(subject) <= len(chunkPrefix) || subject[:len(chunkPrefix)] != chunkPrefix {
		return ""
	}
	return subject[len(chunkPrefix):]
}

// ErrName: a channel or a node has a name that can't be part of a key.
var ErrName = errors.New("not a name")

var name = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// CheckName refuses what can't name a channel or a node; kind is which of the two.
func CheckName(kind, text string) error {
	if name.MatchString(text) {
		return nil
	}
	return fmt.Errorf("%q is %w of a %s: use 1 to 64 letters, digits, _ and -", text, ErrName, kind)
}
