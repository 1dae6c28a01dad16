package snapshot

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"hash"
	"io"
	"math"
	"math/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
)

var snapshots = flag.Int("snapshots", 0, "how many snapshots TestSnapshots takes, 0 for a few")

// tally is what came of a number of snapshots.
type tally struct {
	taken, overlaid, same, unable int
	bad                           []string
}

func (y *tally) add(o tally) {
	y.taken += o.taken
	y.overlaid += o.overlaid
	y.same += o.same
	y.unable += o.unable
	y.bad = append(y.bad, o.bad...)
}

func (y tally) String() string {
	return fmt.Sprintf("%d snapshots: %d inconsistent, %d could not be taken; with frames of the log over them %d; equal to what SQLite reads at the very moment %d",
		y.taken, len(y.bad), y.unable, y.overlaid, y.same)
}

// readInPieces reads the snapshot in pieces of any length.
func readInPieces(ctx context.Context, s *Snapshot, to io.Writer) error {
	r, err := s.Reader(ctx)
	for at := int64(0); err == nil && at < s.size; {
		piece := make([]byte, 1+rand.Intn(1<<20))
		var n int
		if n, err = r.ReadAt(piece, at); err == io.EOF && at+int64(n) == s.size {
			err = nil
		}
		to.Write(piece[:n])
		at += int64(n)
	}
	return err
}

// take takes a snapshot of a world that is at work, with naps in it, and checks it.
// broken, if it is set, makes it be taken wrongly.
func (w *world) take(y *tally, broken func(*hooks, *sqlite3.SQLiteConn)) {
	w.t.Helper()
	ctx := context.Background()
	out := filepath.Join(filepath.Dir(w.path), "copy.db")
	os.Remove(out)
	dst, err := os.Create(out)
	if err != nil {
		w.t.Fatal(err)
	}
	defer dst.Close()
	acknowledged := w.acknowledged.Load()
	conn, err := w.db.Conn(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	const count = "SELECT n FROM counter"
	var before, within, after int64
	if err := conn.QueryRowContext(ctx, count).Scan(&before); err != nil { // of all processes
		w.t.Fatal(err)
	}
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		w.t.Fatal(err)
	}
	if err := conn.QueryRowContext(ctx, count).Scan(&within); err != nil {
		w.t.Fatal(err)
	}
	err = conn.Raw(func(raw any) error {
		c := raw.(*sqlite3.SQLiteConn)
		h := hooks{
			nap: func() {
				if rand.Intn(3) == 0 {
					time.Sleep(time.Duration(rand.Intn(8000)) * time.Microsecond)
				}
			},
			chunk: func() int64 { return 1 + rand.Int63n(300_000) },
		}
		if broken != nil {
			broken(&h, c)
		}
		h.nap()
		s, err := of(c, w.path, h)
		if err != nil {
			return err
		}
		if s.wal != nil {
			y.overlaid++
		}
		if broken != nil {
			return s.CopyTo(ctx, File(dst), func(int64) {})
		}
		read, readErr := sha256.New(), make(chan error, 1)
		go func() { readErr <- readInPieces(ctx, s, read) }()
		err = s.CopyTo(ctx, File(dst), func(int64) {})
		if err := cmp.Or(<-readErr, err); err != nil {
			return err
		}
		if copied := sha256.New(); !bytes.Equal(read.Sum(nil), w.sum(copied, dst)) {
			y.bad = append(y.bad, fmt.Sprintf("%s: what was read is not what was copied", w.setting))
		}
		return nil
	})
	if err != nil && (broken == nil || !errors.Is(err, ErrUnable)) {
		w.t.Fatal(err)
	}
	y.taken++
	if err != nil {
		y.unable++
		conn.ExecContext(ctx, "ROLLBACK")
		return
	}
	want, digestErr := digests(conn)
	conn.ExecContext(ctx, "COMMIT")
	if digestErr != nil {
		w.t.Fatal(digestErr)
	}
	if err := conn.QueryRowContext(ctx, count).Scan(&after); err != nil {
		w.t.Fatal(err)
	}
	copied, err := sql.Open("sqlite3", "file:"+out+"?mode=ro&immutable=1")
	if err != nil {
		w.t.Fatal(err)
	}
	defer copied.Close()
	at, err := check(copied)
	if err == nil && (at < before || at < acknowledged || at < within || at > after) {
		err = fmt.Errorf("it is of transaction %d; %d was acknowledged before, %d read within, %d after", at, max(before, acknowledged), within, after)
	}
	if err == nil && broken == nil && at == within {
		y.same++
		var got map[string]string
		if got, err = digests(copied); err == nil && !sameContent(got, want) {
			err = fmt.Errorf("SQLite reads other content in it than in the transaction: %v, and %v there", got, want)
		}
	}
	if err != nil {
		y.bad = append(y.bad, fmt.Sprintf("%s: %v", w.setting, err))
	}
}

// sum returns the digest of a whole file.
func (w *world) sum(h hash.Hash, f *os.File) []byte {
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, math.MaxInt64)); err != nil {
		w.t.Fatal(err)
	}
	return h.Sum(nil)
}

// settings are tried in this order; an ordinary run has the first few.
var settings = []setting{
	{4096, "NONE", "WAL", 0},
	{512, "FULL", "WAL", 0},
	{65536, "INCREMENTAL", "WAL", 1 << 28},
	{4096, "NONE", "DELETE", 0},
	{1024, "INCREMENTAL", "WAL", 1 << 28},
	{8192, "FULL", "WAL", 1 << 28},
	{4096, "FULL", "WAL", 0},
	{16384, "NONE", "WAL", 0},
	{512, "NONE", "TRUNCATE", 0},
	{4096, "INCREMENTAL", "WAL", 1 << 28},
	{2048, "NONE", "WAL", 0},
	{65536, "FULL", "PERSIST", 0},
	{32768, "INCREMENTAL", "WAL", 0},
	{4096, "FULL", "DELETE", 1 << 28},
}

// perWorld is how many snapshots are taken of a world: its log grows.
const perWorld = 100

// TestSnapshotsAreOneMomentOfTheDatabase while several connections and processes write
// and checkpoint it in all ways. Each is compared with its own history, and with what
// SQLite reads if nothing was committed in between.
func TestSnapshotsAreOneMomentOfTheDatabase(t *testing.T) {
	t.Parallel()
	worlds, each := 4, 8
	if *snapshots > 0 {
		worlds = max(1, (*snapshots+perWorld-1)/perWorld)
		each = (*snapshots + worlds - 1) / worlds
	}
	var all tally
	for i := range worlds {
		s := settings[i%len(settings)]
		t.Run(fmt.Sprint(i, ",", s), func(t *testing.T) {
			w := newWorld(t, s)
			w.populate()
			var y tally
			for range each {
				w.take(&y, nil)
			}
			w.stop()
			for _, why := range y.bad {
				t.Error(why)
			}
			t.Log(y)
			all.add(y)
		})
	}
	t.Log(all)
}
