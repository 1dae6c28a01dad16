package bench

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// togetherEnv is the variable that makes a child one of several processes with one
// database, and holds its share.
const togetherEnv = "HOTSWAP_BENCH_TOGETHER"

// share is what one of several processes does to their database.
type share struct {
	Path             string
	Readers, Writers int
	Paced            bool
}

// beTogether serves until the end of stdin.
func beTogether(text string) error {
	var s share
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	db, err := s.open()
	if err != nil {
		return err
	}
	defer db.Close()
	stop := startLoad(func(err error) { fmt.Fprintln(os.Stderr, err) }, db, s.setting())
	defer stop()
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	return nil
}

const togetherPool = 10

func (s share) open() (*sql.DB, error) {
	db, err := sql.Open(driver.Name, fmt.Sprintf("file:%s?_journal=WAL&_sync=OFF&_txlock=immediate", s.Path))
	if err != nil {
		return nil, err
	}
	db.SetMaxIdleConns(togetherPool)
	db.SetMaxOpenConns(togetherPool)
	return db, nil
}

func (s share) setting() setting {
	return setting{readers: s.Readers, writers: s.Writers, paced: s.Paced}
}

// together is a way to push to a number of processes.
type together struct {
	processes int
	method    swapper.Method
	pauses    []time.Duration // as the program that was pushed to felt them
	longest   []time.Duration // of all processes
}

func (t *together) name() string { return fmt.Sprintf("%s-%d", t.method, t.processes) }

// BenchmarkTogether pushes through one of several processes that have the database open,
// with 8 readers and 2 writers in all of them together. Each round has so many pushes in
// each of the ways, one after another.
func BenchmarkTogether(b *testing.B) {
	rename := func(processes int) *together { return &together{processes: processes, method: swapper.MethodRename} }
	inPlace := func(processes int) *together { return &together{processes: processes, method: swapper.MethodInPlace} }
	for _, paced := range []bool{true, false} {
		b.Run(fmt.Sprintf("processes/paced=%t", paced), func(b *testing.B) {
			pushTogether(b, 1, paced, 20, rename(1), rename(2), rename(4), rename(8))
		})
	}
	for _, mb := range []int{100, 1000} {
		b.Run(fmt.Sprintf("size=%dMB", mb), func(b *testing.B) {
			if mb == 1000 && !*large {
				b.Skip("only with -large")
			}
			pushTogether(b, mb, true, 5, rename(1), rename(4), inPlace(1), inPlace(4))
		})
	}
}

func pushTogether(b *testing.B, mb int, paced bool, pushes int, ways ...*together) {
	for b.Loop() {
		for _, way := range ways {
			way.round(b, mb, paced, pushes)
		}
	}
	for _, way := range ways {
		for of, d := range map[string][]time.Duration{"pause": way.pauses, "longest": way.longest} {
			slices.Sort(d)
			b.ReportMetric(milliseconds(d[len(d)/2]), way.name()+"-"+of+"-p50-ms")
			b.ReportMetric(milliseconds(d[int(0.99*float64(len(d)-1))]), way.name()+"-"+of+"-p99-ms")
		}
	}
	b.ReportMetric(0, "ns/op")
}

// round starts the processes, pushes, and ends them.
func (t *together) round(b *testing.B, mb int, paced bool, pushes int) {
	dir := tempDir(b)
	defer os.RemoveAll(dir)
	shares := make([]share, t.processes)
	for i := range shares {
		shares[i] = share{Path: filepath.Join(dir, "live.sqlite3"), Paced: paced}
	}
	for i := range 8 {
		shares[i%t.processes].Readers++
	}
	for i := range 2 {
		shares[(t.processes-1-i+t.processes)%t.processes].Writers++
	}
	db, err := shares[0].open()
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	fill(b, db, rowsInTable)
	exec(b, db, fmt.Sprintf("CREATE TABLE filler AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT i, zeroblob(1000000) FROM n", mb-1))
	warm(b, db, togetherPool)
	live, _ := driver.Lookup(shares[0].Path)
	var image bytes.Buffer
	if _, err := swapper.Pull(context.Background(), live, &image, swapper.PullOptions{}); err != nil {
		b.Fatal(err)
	}
	for _, s := range shares[1:] {
		defer startShare(b, s)()
	}
	defer startLoad(func(err error) { b.Error(err) }, db, shares[0].setting())()
	for range pushes {
		r, err := swapper.Push(context.Background(), live, bytes.NewReader(image.Bytes()), swapper.PushOptions{SkipIntegrityCheck: true, Method: t.method})
		if err != nil {
			b.Fatal(err)
		}
		if len(r.Peers) != t.processes-1 {
			b.Fatalf("with %d processes the peers are %+v", t.processes, r.Peers)
		}
		longest := r.Pause
		for _, p := range r.Peers {
			longest = max(longest, p.Pause)
		}
		t.pauses, t.longest = append(t.pauses, r.Pause), append(t.longest, longest)
	}
}

// startShare starts a process, and returns when it is at work.
func startShare(b *testing.B, s share) (end func()) {
	b.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		b.Fatal(err)
	}
	cmd := osexec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), togetherEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	child := testenv.Start(b, cmd)
	child.Line() // ready
	return func() {
		if err := child.End(); err != nil {
			b.Error(err)
		}
	}
}
