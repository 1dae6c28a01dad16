// Package dsn reads data source names as go-sqlite3 and SQLite read them.
package dsn

import (
	"encoding/hex"
	"errors"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"hotswap/internal/dbpath"
	"hotswap/internal/unix"
)

// Name is a data source name (https://www.sqlite.org/uri.html). It is immutable.
type Name struct {
	Raw   string // the whole name; for a file to manage, with its real path
	Path  string // the real path; "" if there is no file to manage
	Given string // the absolute path as given, with its symlinks
	// Unresolved is set if there is a file to manage whose directory does not exist
	// yet, so that it is unknown which file that is.
	Unresolved bool

	CacheSize   int           // _stmt_cache_size
	CacheAsked  bool          // the name has it
	Begin       string        // BEGIN, as _txlock modifies it
	BusyTimeout time.Duration // _busy_timeout; 5 s by default
	NoMutex     bool          // _mutex=no
	SetsJournal bool          // _journal_mode
	QueryOnly   bool          // _query_only, maybe off
	Shared      bool          // cache=shared
	Unlocked    bool          // immutable or nolock

	location string // _loc

	uri  bool   // it is a file: URI
	tail string // what follows the path: the fragment and the parameters
}

// DefaultCacheSize is how many statements a connection keeps unless the name says
// otherwise.
const DefaultCacheSize = 64

// Location is where go-sqlite3 places times; nil leaves them in UTC. It reports a
// location that there is not when it opens a connection.
func (d *Name) Location() *time.Location {
	if d.location == "" {
		return nil
	}
	if strings.EqualFold(d.location, "auto") {
		return time.Local
	}
	loc, _ := time.LoadLocation(d.location)
	return loc
}

// ForSQLite returns the name for go-sqlite3. It leaves go-sqlite3's own statement cache
// off: ours replaces it, and that one loses the error of a write that fails when its
// Rows are closed. An invalid size is left for go-sqlite3 to report.
func (d *Name) ForSQLite() string {
	i := strings.IndexByte(d.Raw, '?')
	if i < 1 {
		return d.Raw
	}
	params := slices.DeleteFunc(strings.Split(d.Raw[i+1:], "&"), func(param string) bool {
		size, ok := strings.CutPrefix(param, "_stmt_cache_size=")
		n, err := strconv.Atoi(size)
		return ok && err == nil && n >= 0
	})
	return d.Raw[:i+1] + strings.Join(params, "&")
}

// Parse reads a name. It can't fail: go-sqlite3 reports what is wrong with one when it
// opens it.
func Parse(name string) *Name {
	d := &Name{Raw: name, CacheSize: DefaultCacheSize, Begin: "BEGIN", BusyTimeout: 5 * time.Second}
	base, query, hasQuery := name, "", false
	if i := strings.IndexByte(name, '?'); i >= 1 {
		base, query, hasQuery = name[:i], name[i+1:], true
	}
	params, err := url.ParseQuery(query)
	if err != nil {
		return d
	}
	if n, err := strconv.Atoi(params.Get("_stmt_cache_size")); err == nil && n >= 0 {
		d.CacheSize, d.CacheAsked = n, true
	}
	for _, key := range []string{"_busy_timeout", "_timeout"} {
		if n, err := strconv.Atoi(params.Get(key)); err == nil {
			d.BusyTimeout = time.Duration(max(n, 0)) * time.Millisecond
		}
	}
	switch strings.ToLower(params.Get("_txlock")) {
	case "immediate":
		d.Begin = "BEGIN IMMEDIATE"
	case "exclusive":
		d.Begin = "BEGIN EXCLUSIVE"
	}
	sqlites := sqliteParams(base, query)
	d.SetsJournal = params.Get("_journal") != "" || params.Get("_journal_mode") != ""
	d.QueryOnly = params.Get("_query_only") != ""
	d.location = params.Get("_loc")
	d.NoMutex = strings.EqualFold(params.Get("_mutex"), "no")
	d.Shared = strings.HasPrefix(base, "file:") && last(sqlites["cache"]) == "shared"
	for _, vfs := range []string{last(params["vfs"]), last(sqlites["vfs"])} {
		if vfs != "" && vfs != "unix" {
			return d
		}
	}
	if unix.Supported() != nil {
		return d
	}

	uri, isURI := strings.CutPrefix(base, "file:")
	file := base
	if isURI {
		if last(sqlites["mode"]) == "memory" {
			return d
		}
		if file, err = PathOfURI(uri); err != nil {
			return d
		}
	}
	if file == "" || file == ":memory:" || strings.IndexByte(file, 0) >= 0 {
		return d
	}
	real, err := dbpath.Real(file)
	if err != nil {
		d.Unresolved = true
		return d
	}
	if !isURI && strings.IndexByte(real, '?') >= 0 {
		return d // only reached through a symlink; a plain name can't express it
	}
	if d.Given, err = filepath.Abs(file); err != nil || strings.Contains(file, "..") {
		d.Given = real // the name alone does not tell what ".." after a symlink is
	}
	d.uri = isURI
	d.Unlocked = isURI && (isTrue(sqlites.Get("immutable")) || isTrue(sqlites.Get("nolock")))
	if _, fragment, ok := strings.Cut(base, "#"); ok && isURI {
		d.tail = "#" + fragment
	}
	if hasQuery {
		d.tail += "?" + query
	}
	return d.At(real)
}

// sqliteParams returns the parameters of a file: URI that SQLite looks at. It ignores a
// fragment, and what comes after; go-sqlite3, which looks at its own, knows of none.
func sqliteParams(base, query string) url.Values {
	if strings.Contains(base, "#") {
		return nil
	}
	query, _, _ = strings.Cut(query, "#")
	params, _ := url.ParseQuery(query)
	return params
}

// last is the value that counts where SQLite takes the last one of a parameter.
func last(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// isTrue reads a parameter as sqlite3_uri_boolean does.
func isTrue(value string) bool {
	switch strings.ToLower(value) {
	case "on", "yes", "true", "full", "extra":
		return true
	}
	n, _ := strconv.Atoi(value)
	return n != 0
}

// Locking returns the parameter that sets exclusive locking mode; "" if none does.
func (d *Name) Locking() string {
	_, query, _ := strings.Cut(d.Raw, "?")
	params, _ := url.ParseQuery(query)
	for _, name := range []string{"_locking_mode", "_locking"} {
		if value := params.Get(name); strings.EqualFold(value, "exclusive") {
			return name + "=" + value
		}
	}
	return ""
}

// At returns the name of the same database at another real path. go-sqlite3 gets the
// real path, so that a chdir or a repointed symlink can't lead one connection to
// another file than the rest.
func (d *Name) At(real string) *Name {
	at := *d
	at.Path, at.Raw = real, real+d.tail
	if d.uri {
		at.Raw = "file:" + dbpath.Escape(real) + d.tail
	}
	return &at
}

// PathOfURI returns the path of a file: URI, given without its scheme and its query
// (https://www.sqlite.org/uri.html). It returns an error for a URI that names another
// host.
func PathOfURI(uri string) (path string, err error) {
	uri, _, _ = strings.Cut(uri, "#")
	if rest, ok := strings.CutPrefix(uri, "//"); ok {
		host, p, _ := strings.Cut(rest, "/")
		if host != "" && host != "localhost" {
			return "", errors.New("file: URI names another host")
		}
		uri = "/" + p
	}
	return unescape(uri), nil
}

// unescape decodes a URI's path as sqlite3ParseUri does: a % without two hexadecimal
// digits stands for itself, and what follows a %00 is ignored.
func unescape(uri string) string {
	var path strings.Builder
	for i := 0; i < len(uri); i++ {
		c := uri[i]
		if c == '%' && i+2 < len(uri) {
			if octet, err := hex.DecodeString(uri[i+1 : i+3]); err == nil {
				if c, i = octet[0], i+2; c == 0 {
					break
				}
			}
		}
		path.WriteByte(c)
	}
	return path.String()
}
