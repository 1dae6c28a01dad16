package snapshot

import (
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// TestALogThatIsStartedOverInTheMidst: what is all in the file is not read from the log.
// A reader of the file alone does not keep that from being started over: with pages of
// the old one, of frames that it has no more, the copy would be of two states.
func TestALogThatIsStartedOverInTheMidst(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*walIndex)
		want   string
	}{
		"as it is":                               {func(*walIndex) {}, "0 ok"},
		"without the look at what is in it":      {func(x *walIndex) { x.backfill = 0 }, ErrUnable.Error()},
		"and without the checks, as it must not": {func(x *walIndex) { x.backfill, x.unchecked = 0, true }, "wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			path, reader, writer := pair(t, "WAL")
			mustExec(t, writer, "PRAGMA wal_checkpoint(PASSIVE)")
			naps := 0
			copied, err := copyOf(t, reader, path, func(h *hooks, _ *sqlite3.SQLiteConn) {
				h.index = test.change
				h.chunk = func() int64 { return 5000 }
				h.nap = func() {
					if naps++; naps == 2 { // not before the wal-index is read
						mustExec(t, writer, "BEGIN; INSERT INTO b VALUES (1); CREATE TABLE c AS SELECT zeroblob(200000); COMMIT")
					}
				}
			})
			got := ""
			if err != nil {
				got = err.Error()
			} else {
				got = values(t, copied)
			}
			if test.want == "wrong" && (err != nil || got == "0 ok") || test.want != "wrong" && !strings.HasPrefix(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// TestWhatIsBeyondTheLastCommitIsNotRead: whole frames of a commit whose fsync failed,
// or whose writer died before it had told the others.
func TestWhatIsBeyondTheLastCommitIsNotRead(t *testing.T) {
	for name, test := range map[string]struct {
		readOn bool
		want   string
	}{
		"as it is":                       {false, "0 ok"},
		"read on as recovery reads them": {true, "0,7 ok"},
	} {
		t.Run(name, func(t *testing.T) {
			path, reader, writer := pair(t, "WAL")
			// What a commit writes is taken back, but for the log itself.
			saved, err := os.ReadFile(path + "-shm")
			if err != nil {
				t.Fatal(err)
			}
			mustExec(t, writer, "INSERT INTO b VALUES (7)")
			shm, err := os.OpenFile(path+"-shm", os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := shm.WriteAt(saved, 0); err != nil {
				t.Fatal(err)
			}
			// Its close would drop the locks.
			t.Cleanup(func() { shm.Close() })
			copied, err := copyOf(t, reader, path, func(h *hooks, _ *sqlite3.SQLiteConn) {
				if test.readOn {
					h.index = func(x *walIndex) { x.readOn(path + "-wal") }
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := values(t, copied); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// TestALogThatIsNotOfItsIndexIsNotRead: whatever is wrong with it.
func TestALogThatIsNotOfItsIndexIsNotRead(t *testing.T) {
	for name, spoil := range map[string]func(wal []byte) []byte{
		"a bit of a page":     func(b []byte) []byte { b[len(b)-100] ^= 1; return b },
		"a bit of a salt":     func(b []byte) []byte { b[walHeaderSize+9] ^= 1; return b },
		"a bit of the header": func(b []byte) []byte { b[17] ^= 1; return b },
		// No frame's checksum depends on this one: only a look at the header itself sees it.
		"a bit of the header's checksum": func(b []byte) []byte { b[walHeaderSize-1] ^= 1; return b },
		// Whole in itself, but for what the wal-index knows of its end.
		"other content, summed anew": resum,
		"another byte order":         func(b []byte) []byte { b[3] ^= 1; return b },
		"no page number":             func(b []byte) []byte { clear(b[walHeaderSize : walHeaderSize+4]); return b },
		"the last bytes":             func(b []byte) []byte { return b[:len(b)-1] },
		"all":                        func(b []byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			path, reader, _ := pair(t, "WAL")
			whole, err := os.ReadFile(path + "-wal")
			if err != nil {
				t.Fatal(err)
			}
			write := func(b []byte) {
				if err := os.WriteFile(path+"-wal", b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err = copyOf(t, reader, path, func(h *hooks, _ *sqlite3.SQLiteConn) {
				h.index = func(*walIndex) { write(spoil(append([]byte(nil), whole...))) }
			})
			write(whole)
			if !errors.Is(err, ErrUnable) {
				t.Error(err)
			}
			copied, err := copyOf(t, reader, path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := values(t, copied); got != "0 ok" {
				t.Error(got)
			}
		})
	}
}

// resum changes the last page of a log, and makes its frame's checksum fit.
func resum(b []byte) []byte {
	const frame = frameHeaderSize + 4096
	x := walIndex{pageSize: 4096, bigEndian: b[3] == walMagicBig&0xff}
	last := b[len(b)-frame:]
	last[frame-100] ^= 1
	before := b[len(b)-2*frame:]
	sum := [2]uint32{binary.BigEndian.Uint32(before[16:]), binary.BigEndian.Uint32(before[20:])}
	x.add(&sum, last[:8])
	x.add(&sum, last[frameHeaderSize:])
	binary.BigEndian.PutUint32(last[16:], sum[0])
	binary.BigEndian.PutUint32(last[20:], sum[1])
	return b
}

// TestALogThatEndsElsewhereIsNotRead: fewer frames than are committed, or more pages.
func TestALogThatEndsElsewhereIsNotRead(t *testing.T) {
	for name, change := range map[string]func(*walIndex){
		"a frame less":     func(x *walIndex) { x.mxFrame-- },
		"another checksum": func(x *walIndex) { x.checksum[1]++ },
		"a page more":      func(x *walIndex) { x.pages++ },
		"another salt":     func(x *walIndex) { x.salt[7]++ },
		"larger pages":     func(x *walIndex) { x.pageSize *= 2 },
		"more in the file": func(x *walIndex) { x.backfill = x.mxFrame + 1 },
	} {
		t.Run(name, func(t *testing.T) {
			path, reader, _ := pair(t, "WAL")
			_, err := copyOf(t, reader, path, func(h *hooks, _ *sqlite3.SQLiteConn) { h.index = change })
			if !errors.Is(err, ErrUnable) {
				t.Error(err)
			}
		})
	}
}

func TestAWALIndexThatIsBeingWrittenIsNotTaken(t *testing.T) {
	path, _, _ := pair(t, "WAL")
	b, err := os.ReadFile(path + "-shm")
	if err != nil {
		t.Fatal(err)
	}
	whole := walIndexHead(b)
	x, ok := parseWALIndex(whole)
	if !ok || x.mxFrame == 0 || x.pages == 0 || x.pageSize != 4096 || x.backfill != 0 {
		t.Fatalf("%+v, %v", x, ok)
	}
	for i := range 2 * indexHeader {
		torn := whole
		torn[i]++
		if _, ok := parseWALIndex(torn); ok {
			t.Errorf("with another byte %d it is taken", i)
		}
		if i < indexHeader {
			torn[i+indexHeader]++
			if _, ok := parseWALIndex(torn); ok {
				t.Errorf("with another byte %d in both, it is taken", i)
			}
		}
	}
}
