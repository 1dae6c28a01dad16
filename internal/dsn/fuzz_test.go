package dsn

import (
	"strings"
	"testing"
)

// FuzzDSN: no name makes the parser fail, and a managed one is an absolute path that
// go-sqlite3 is given in full.
func FuzzDSN(f *testing.F) {
	for _, s := range []string{"", "x.db", ":memory:", "file:x.db?mode=memory", "file:///a%20b?_txlock=immediate#f", "file://host/x", "file:%00", "a?b?c", "?x", "file:x%zz", "x.db?vfs=unix&_stmt_cache_size=-1", "x.db?%zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		d := Parse(name)
		if d.Path == "" {
			if d.Raw != name {
				t.Errorf("%q is not managed and was changed to %q", name, d.Raw)
			}
			return
		}
		if !strings.HasPrefix(d.Path, "/") || strings.IndexByte(d.Path, 0) >= 0 {
			t.Errorf("%q: path %q", name, d.Path)
		}
		again := Parse(d.Raw)
		if again.Path != d.Path || again.Raw != d.Raw || again.CacheSize != d.CacheSize || again.NoMutex != d.NoMutex {
			t.Errorf("%q became %q, which reads as %+v, not %+v", name, d.Raw, again, d)
		}
	})
}
