// Package fileuri builds the file: URIs that SQLite opens
// (https://www.sqlite.org/uri.html).
package fileuri

import "strings"

var escaper = strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23")

// Escape escapes a path for use behind "file:".
func Escape(path string) string { return escaper.Replace(path) }

// New returns the URI of an absolute path with the parameters, each "key=value".
func New(path string, params ...string) string {
	u := "file:" + Escape(path)
	if len(params) > 0 {
		u += "?" + strings.Join(params, "&")
	}
	return u
}
