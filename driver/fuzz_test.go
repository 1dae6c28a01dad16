package driver

import (
	"strings"
	"testing"
)

// FuzzDSN: no name makes the parser fail, and a managed one is an absolute path
// that go-sqlite3 is told in full.
func FuzzDSN(f *testing.F) {
	for _, s := range []string{"", "x.db", ":memory:", "file:x.db?mode=memory", "file:///a%20b?_txlock=immediate#f", "file://host/x", "file:%00", "a?b?c", "?x", "file:x%zz", "x.db?vfs=unix&_stmt_cache_size=-1", "x.db?%zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		d := parseDSN(name)
		if d.path == "" {
			if d.raw != name {
				t.Errorf("%q is not managed and was changed to %q", name, d.raw)
			}
			return
		}
		if !strings.HasPrefix(d.path, "/") || strings.IndexByte(d.path, 0) >= 0 {
			t.Errorf("%q: path %q", name, d.path)
		}
		again := parseDSN(d.raw)
		if again.path != d.path || again.raw != d.raw || again.cacheSize != d.cacheSize || again.noMutex != d.noMutex {
			t.Errorf("%q became %q, which reads as %+v, not %+v", name, d.raw, again, d)
		}
	})
}
