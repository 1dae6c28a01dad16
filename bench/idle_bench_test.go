package bench

import (
	"bufio"
	"cmp"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/testenv"
	"hotswap/sockserver"
)

var (
	idleDatabases = flag.Int("idle", 1000, "of `databases` that BenchmarkIdle opens; each takes a descriptor")
	idleRests     = flag.Bool("rest", false, "have BenchmarkIdle look for a minute, within which each database is looked at")
)

// idleEnv is the variable that makes a child a program with many databases that does
// nothing with them, and says how.
const idleEnv = "HOTSWAP_BENCH_IDLE"

// idleProgram is one with a pool of one connection for each database, or of some on which
// it has run texts.
type idleProgram struct {
	Texts, Bytes, Connections int

	Driver string
	Params string
	Dir    string
	Own    bool // a directory for each database
	N      int
	Serves bool // listens for `hotswap cp`
}

func (p idleProgram) path(i int) string {
	if p.Own {
		return filepath.Join(p.Dir, strconv.Itoa(i), "live.sqlite3")
	}
	return filepath.Join(p.Dir, strconv.Itoa(i)+".sqlite3")
}

// beIdle opens the databases, and says for each line of stdin what it uses. It closes none:
// for each that is closed go-sqlite3 looks at all.
func beIdle(text string) error {
	var p idleProgram
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return err
	}
	runtime.GC()
	before, err := resident()
	if err != nil {
		return err
	}
	swapped := make(chan time.Time, 1)
	for i := range p.N {
		db, err := sql.Open(p.Driver, p.path(i))
		if err != nil {
			return err
		}
		var n int
		if err := db.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil {
			return err
		}
		if d, ok := driver.Lookup(p.path(i)); ok {
			d.OnSwap(func(driver.Swap) { swapped <- time.Now() })
		}
	}
	if p.Serves {
		server, err := sockserver.Start(sockserver.Config{SocketPath: filepath.Join(p.Dir, "socket"), StderrSocketPath: filepath.Join(p.Dir, "stderr")})
		if err != nil {
			return err
		}
		defer server.Close()
	}
	if p.Connections > 0 {
		db, err := sql.Open(p.Driver, "file:"+p.path(0)+p.Params)
		if err != nil {
			return err
		}
		if err := p.runTexts(db); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var says any
		switch lines.Text() {
		case "memory":
			debug.FreeOSMemory()
			after, err := resident()
			if err != nil {
				return err
			}
			says = float64(after-before) / float64(max(p.N, p.Connections))
		case "time":
			says = processorTime().Seconds()
		case "swapped":
			says = (<-swapped).UnixNano()
		}
		fmt.Println(says)
	}
	return lines.Err()
}

func processorTime() time.Duration {
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// resident is how much memory the process has, in bytes.
func resident() (n int64, err error) {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	pages, err := strconv.ParseInt(strings.Fields(string(statm))[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// idleWay is a driver with idle databases, and what was seen of it.
type idleWay struct {
	name     string
	program  idleProgram
	memory   []float64 // bytes a database
	rested   []float64 // the same, later
	share    []float64 // of a core, in percent
	noticing []time.Duration
}

// BenchmarkIdle starts a program for each way of having -idle databases open, one after
// another, and looks at what each uses while nothing calls. In ours it also replaces files, and
// waits until OnSwap has been told.
func BenchmarkIdle(b *testing.B) {
	for _, own := range []bool{false, true} {
		b.Run(fmt.Sprintf("directories=%t", own), func(b *testing.B) {
			p := idleProgram{Dir: tempDir(b), Own: own, N: *idleDatabases}
			p.fill(b)
			raw, ours, served := p, p, p
			raw.Driver, ours.Driver, served.Driver, served.Serves = "sqlite3", driver.Name, driver.Name, true
			ways := []*idleWay{{name: "raw", program: raw}, {name: "hotswap", program: ours}}
			if own { // to start a server looks through each one's directory
				ways = append(ways, &idleWay{name: "served", program: served})
			}
			for b.Loop() {
				for _, w := range ways {
					w.round(b)
				}
			}
			for _, w := range ways {
				b.ReportMetric(middle(w.memory)/1e3, w.name+"-kB/database")
				b.ReportMetric(middle(w.rested)/1e3, w.name+"-rested-kB/database")
				b.ReportMetric(middle(w.share), w.name+"-%core")
				if len(w.noticing) > 0 {
					b.ReportMetric(milliseconds(middle(w.noticing)), w.name+"-notice-p50-ms")
					b.ReportMetric(milliseconds(w.noticing[len(w.noticing)-1]), w.name+"-notice-max-ms")
				}
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// middle is the median; all is sorted then.
func middle[T cmp.Ordered](all []T) T {
	slices.Sort(all)
	return all[len(all)/2]
}

// fill makes the databases.
func (p idleProgram) fill(b *testing.B) {
	b.Helper()
	first := filepath.Join(p.Dir, "first")
	db, err := sql.Open("sqlite3", first)
	if err != nil {
		b.Fatal(err)
	}
	fill(b, db, 10)
	db.Close()
	for i := range p.N {
		if err := os.MkdirAll(filepath.Dir(p.path(i)), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := copyFile(first, p.path(i)); err != nil {
			b.Fatal(err)
		}
	}
}

const (
	idleSettles = 3 * time.Second
	idleFor     = 5 * time.Second
)

// start starts the program, and returns how it is asked.
func (w *idleWay) start(b *testing.B) (child *testenv.Child, ask func(what string) float64) {
	b.Helper()
	text, err := json.Marshal(w.program)
	if err != nil {
		b.Fatal(err)
	}
	cmd := osexec.Command(os.Args[0])
	// Each question of another process for a file, whether this one has it open, too, takes time.
	cmd.Env = append(os.Environ(), idleEnv+"="+string(text), "HOTSWAP_PEERS=off")
	cmd.Stderr = os.Stderr
	child = testenv.Start(b, cmd)
	ask = func(what string) (says float64) {
		fmt.Fprintln(child.In, what)
		if _, err := fmt.Sscan(child.Line(), &says); err != nil {
			b.Fatal(err)
		}
		return says
	}
	child.Line() // ready
	return child, ask
}

func (w *idleWay) round(b *testing.B) {
	b.Helper()
	child, ask := w.start(b)
	w.memory = append(w.memory, ask("memory"))
	time.Sleep(idleSettles)
	used, began := ask("time"), time.Now()
	if *idleRests {
		time.Sleep(time.Minute + idleSettles)
	} else {
		time.Sleep(idleFor)
	}
	w.share = append(w.share, (ask("time")-used)/time.Since(began).Seconds()*100)
	w.rested = append(w.rested, ask("memory"))
	for i := 0; i < 10 && w.program.Driver != "sqlite3"; i++ {
		live := w.program.path(i * w.program.N / 10)
		if err := copyFile(filepath.Join(w.program.Dir, "first"), live+".new"); err != nil {
			b.Fatal(err)
		}
		if err := os.Chtimes(live+".new", time.Time{}, time.Now().Add(-time.Hour)); err != nil { // it was written earlier
			b.Fatal(err)
		}
		began := time.Now()
		if err := os.Rename(live+".new", live); err != nil {
			b.Fatal(err)
		}
		fmt.Fprintln(child.In, "swapped")
		at, err := strconv.ParseInt(child.Line(), 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		w.noticing = append(w.noticing, time.Unix(0, at).Sub(began))
	}
	if err := child.End(); err != nil {
		b.Error(err)
	}
}
