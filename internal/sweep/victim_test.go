//go:build linux && (amd64 || arm64)

package sweep

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
	"golang.org/x/sys/unix"

	"hotswap/driver"
	"hotswap/internal/disk"
	"hotswap/internal/seccomp"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// victimRole names the scenario whose victim a child process is, and victimDir
// its directory.
const (
	victimRole = "HOTSWAP_SWEEP_VICTIM"
	victimDir  = "HOTSWAP_SWEEP_DIR"
)

func TestMain(m *testing.M) {
	testenv.NoPeers()
	if name := os.Getenv(victimRole); name != "" {
		if err := beVictim(scenarioOf(name), os.Getenv(victimDir)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			if errors.Is(err, errNoFilter) {
				os.Exit(exitNoFilter)
			}
			os.Exit(1)
		}
		os.Exit(0)
	}
	if code, ran := testenv.OwnProcesses(); ran {
		os.Exit(code)
	}
	testenv.Parallel(4) // they wait for one process after another
	if err := makeRunsRoot(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(runsRoot)
	os.Exit(code)
}

// victimCommand is the command line of a victim. Nothing in it may make a
// system call of its own accord while the operation runs.
func victimCommand(name, dir string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimRole+"="+name, victimDir+"="+dir,
		"GOGC=off", "GOMAXPROCS=2", "GODEBUG=asyncpreemptoff=1",
		"GORACE=atexit_sleep_ms=0") // the race detector's second for other goroutines, of which there are none
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// victim is the child process, a program at work on its database.
type victim struct {
	path   string
	pool   *sql.DB
	db     *driver.Database
	image  []byte
	pulled bytes.Buffer
	passed passed
	// watcher is a pool of another driver's, with a transaction open.
	watcher *sql.DB
	// Of an adoption alone.
	log   logged
	kept  *kept
	moved bool
}

// outcome is what a victim that survived says of its operation.
type outcome struct {
	Swapped bool
	Error   string
	// Bare: the error is that of a system call or of SQLite, and does not say
	// what was being done.
	Bare              bool
	DurabilityUnknown bool
	OutcomeUnknown    bool
	Kept              *kept // the old file for some time, though another was at its path
	Moved             bool  // to that
	Log               string
	// Proofs that the program goes on, one by each of its connections.
	Proofs []proof
}

// proof is a read and a write after the operation.
type proof struct {
	Stamp string // what the read saw
	Wrote bool   // the write was acknowledged
	Error string // what kept it from one of them
}

// wrote counts the writes that were acknowledged.
func (o *outcome) wrote() (n int) {
	if o != nil {
		for _, p := range o.Proofs {
			if p.Wrote {
				n++
			}
		}
	}
	return n
}

// The files of a run, in its directory. The database is alone in one of its own.
const (
	databaseFile = "db/live.sqlite3"
	imageFile    = "image"
	pulledFile   = "pulled"
	movedFile    = "moved"
)

// pulledPath is in the directory of the run, above that of the database.
func (v *victim) pulledPath() string {
	return filepath.Join(filepath.Dir(filepath.Dir(v.path)), pulledFile)
}

// imagePath is beside it.
func (v *victim) imagePath() string {
	return filepath.Join(filepath.Dir(filepath.Dir(v.path)), imageFile)
}

func beVictim(s scenario, dir string) error {
	// The operation's calls come from one thread; those of all others count, too.
	runtime.LockOSThread()
	disk.Slow = func(time.Duration) bool { return s.slow }
	v := &victim{path: filepath.Join(dir, databaseFile)}
	var err error
	if v.image, err = os.ReadFile(filepath.Join(dir, imageFile)); err != nil {
		return err
	}
	if v.pool, v.db, err = openPool(v.path, s.journal); err != nil {
		return err
	}
	if s.leave != nil {
		if err := v.pool.Ping(); err != nil {
			return err
		}
	} else if !s.missing {
		if s.watched {
			if err := v.watch(); err != nil {
				return err
			}
		}
		if err := v.work(); err != nil {
			return err
		}
	}
	if s.removed {
		if err := os.Remove(v.path); err != nil {
			return err
		}
	}
	if s.passes != nil {
		if err := v.pass(s.passes); err != nil {
			return err
		}
	}
	_, _ = time.Now().Zone() // is read by the first log line otherwise, on another goroutine
	const socket = 3         // the first of exec.Cmd's ExtraFiles
	if err := seccomp.Install(socket); err != nil {
		return fmt.Errorf("%w: %w", errNoFilter, err)
	}
	unix.Close(socket)

	unix.Access(markBegin, 0)
	report, err := s.do(v)
	unix.Access(markEnd, 0)

	o := outcome{Swapped: report.Swapped}
	if err != nil {
		o.Error, o.Bare = err.Error(), bare(err)
		o.OutcomeUnknown = errors.Is(err, swapper.ErrOutcomeUnknown)
		o.DurabilityUnknown = errors.Is(err, swapper.ErrDurabilityUnknown)
	}
	if v.pulled.Len() > 0 && err == nil {
		if err := os.WriteFile(v.pulledPath(), v.pulled.Bytes(), 0o600); err != nil {
			return err
		}
	}
	if s.adopts && o.Swapped {
		v.settle()
		o.Kept, o.Moved, o.Log = v.kept, v.moved, v.log.String()
	}
	if !s.missing || o.Swapped { // else there are no tables
		if o.Proofs, err = v.goOn(); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(o)
}

// connections is how many the program has.
const connections = 2

// work is what the program did before: each of its connections had writes
// acknowledged. Those of the last one are in the WAL alone, if there is one.
func (v *victim) work() error {
	return v.onEach(func(i int, conn *sql.Conn) error {
		if err := acknowledge(conn, i, connections); err != nil || i > 0 {
			return err
		}
		// The connection that made the WAL syncs the directory at its first
		// checkpoint. Had it none yet, the order in which connections are closed,
		// which is not the same in every run, would decide who makes which calls.
		_, err := conn.ExecContext(context.Background(), "PRAGMA wal_checkpoint")
		return err
	})
}

func (v *victim) watch() (err error) {
	if v.watcher, err = sql.Open("sqlite3", v.path); err != nil {
		return err
	}
	v.watcher.SetMaxOpenConns(1)
	_, err = v.watcher.Exec("PRAGMA journal_mode=WAL; BEGIN; SELECT count(*) FROM items")
	return err
}

// goOn is what the program does after: it reads and writes.
func (v *victim) goOn() (proofs []proof, err error) {
	ctx := context.Background()
	err = v.onEach(func(_ int, conn *sql.Conn) error {
		var p proof
		err := conn.QueryRowContext(ctx, "SELECT group_concat(DISTINCT stamp) FROM items").Scan(&p.Stamp)
		if err == nil {
			_, err = conn.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS notes (text TEXT)") // one of the smallest databases has none
		}
		if err == nil {
			_, err = conn.ExecContext(ctx, "INSERT INTO notes VALUES ('after')")
			p.Wrote = err == nil
		}
		if err != nil {
			p.Error = err.Error()
		}
		proofs = append(proofs, p)
		return nil
	})
	return proofs, err
}

// onEach runs fn with each of the pool's connections.
func (v *victim) onEach(fn func(int, *sql.Conn) error) error {
	for i := range connections {
		conn, err := v.pool.Conn(context.Background())
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := fn(i, conn); err != nil {
			return err
		}
	}
	return nil
}

// bare reports whether an operation's error has no more to say than the system
// call's or SQLite's own.
func bare(err error) bool {
	var (
		op     *swapper.Error
		errno  syscall.Errno
		sqlite sqlite3.Error
	)
	if !errors.As(err, &op) {
		return true
	}
	text := op.Err.Error()
	return errors.As(err, &errno) && text == errno.Error() || errors.As(err, &sqlite) && text == sqlite.Error()
}
