package repository

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"hotswap/internal/engine"
)

// Version names one immutable published database.
type Version struct {
	Channel string `json:"channel"`
	Number  uint64 `json:"version"`
}

// String returns catalog@7.
func (v Version) String() string { return v.Channel + "@" + strconv.FormatUint(v.Number, 10) }

func (v Version) compare(other Version) int {
	return cmp.Or(strings.Compare(v.Channel, other.Channel), cmp.Compare(v.Number, other.Number))
}

// ErrVersion: a text does not name a version.
var ErrVersion = errors.New("not a version")

// ParseVersion is the reverse of String.
func ParseVersion(text string) (Version, error) {
	channel, number, ok := strings.Cut(text, "@")
	n, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil || n == 0 || strconv.FormatUint(n, 10) != number {
		return Version{}, fmt.Errorf("%q is %w, such as catalog@7", text, ErrVersion)
	}
	if err := engine.CheckName("channel", channel); err != nil {
		return Version{}, err
	}
	return Version{channel, n}, nil
}

// The keys of the bucket (see package engine).
func (v Version) key() string           { return versionKeys(v.Channel) + strconv.FormatUint(v.Number, 10) }
func versionKeys(channel string) string { return "version." + channel + "." }
func nextKey(channel string) string     { return "next." + channel }
func ofKey(key string) (v Version, ok bool) {
	rest, ok := strings.CutPrefix(key, "version.")
	if !ok {
		return Version{}, false
	}
	channel, number, ok := strings.Cut(rest, ".")
	if !ok {
		return Version{}, false
	}
	v, err := ParseVersion(channel + "@" + number)
	return v, err == nil
}
