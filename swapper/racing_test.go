package swapper_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hotswap/internal/testenv"
	"hotswap/sockserver"
	"hotswap/swapper"
)

var pushes = flag.Int("pushes", 2, "how many pushes to make in each race with another process")

// race is a service that reads and writes all the time, beside other processes
// that do, while one push follows another.
type race struct {
	*service
	*trail
	stop  chan struct{}
	done  chan error
	stamp string // of the live database
	n     int
	by    map[swapper.Method]int

	keepsNone bool // of the replaced databases
}

func startRace(t *testing.T, mode string) *race {
	// The timeout is there for those who wait in SQLite, since they may have to
	// wait for each other as long as there is one.
	s := start(t, t.TempDir(), "&_busy_timeout=60000&_journal="+mode)
	r := &race{service: s, trail: newTrail(t, s.path), stop: make(chan struct{}), done: make(chan error, 1), stamp: "live", by: map[swapper.Method]int{}}
	go func() {
		rounds := time.NewTicker(roundEvery)
		defer rounds.Stop()
		for n := 0; ; n++ {
			select {
			case <-r.stop:
				r.done <- nil
				return
			case <-rounds.C:
			}
			id := fmt.Sprintf("service/%d", n)
			acked, _, err := writeAndRead(s.pool, id)
			if acked != "" {
				r.acknowledged(id, acked)
			}
			if err != nil {
				r.done <- err
				return
			}
		}
	}()
	return r
}

// pushBy makes a push, by the service itself or through another's socket, and
// then every process must read what was pushed.
func (r *race) pushBy(push func(data []byte) (swapper.Report, error), others ...*loop) {
	t := r.service.t
	t.Helper()
	r.n++
	next := fmt.Sprintf("new%d", r.n)
	report, err := push(source(t, next))
	if err != nil {
		t.Fatal(err)
	}
	r.by[report.Method]++
	r.keep(report.BackupPath, r.stamp)
	r.stamp = next
	if got := r.service.stamp(); got != next {
		t.Errorf("the service reads %s after the push of %s, by %s", got, next, report.Method)
	}
	for _, o := range others {
		if got := o.readsNow(); got != next {
			t.Errorf("the other process, of kind %s, reads %s after the push of %s, by %s", o.kind, got, next, report.Method)
		}
	}
}

func (r *race) push(opts swapper.PushOptions) func(data []byte) (swapper.Report, error) {
	opts.Backup, opts.Quick = true, true
	return func(data []byte) (swapper.Report, error) { return r.service.push(data, opts) }
}

// finish ends all and looks for every write.
func (r *race) finish(others ...*loop) {
	r.service.t.Helper()
	close(r.stop)
	if err := <-r.done; err != nil {
		r.service.t.Errorf("a call of the service's: %v", err)
	}
	for _, o := range others {
		o.quit()
		r.service.t.Logf("%d writes and %d times busy in the other process, of kind %s", o.acks, o.busy, o.kind)
	}
	r.service.t.Logf("%d writes; pushes by method: %v", len(r.acks), r.by)
	r.service.pool.Close()
	if r.keepsNone {
		r.forget(r.stamp)
	}
	r.check()
	r.onlyFiles()
}

// TestPushesBesideAnotherProcessThatWritesAllTheTime: it has its connection all
// the time, so all go in place. It is never told that the database is busy,
// since it waits for longer than a push keeps the lock.
func TestPushesBesideAnotherProcessThatWritesAllTheTime(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"WAL", "DELETE"} {
		t.Run(mode, func(t *testing.T) {
			r := startRace(t, mode)
			o := startLoop(r.trail, "held", "file:"+r.service.path+"?_busy_timeout=60000")
			for range *pushes {
				r.pushBy(r.push(swapper.PushOptions{}), o)
			}
			r.finish(o)
			if r.by[swapper.MethodInPlace] != *pushes {
				t.Errorf("pushes by method: %v", r.by)
			}
			if o.busy > 0 {
				t.Errorf("the other process was told %d times that the database is busy", o.busy)
			}
		})
	}
}

// TestPushesBesideAnotherProcessThatOpensAllTheTime has it open the database,
// write a row and close it, again and again, and delays it at the system calls
// by which SQLite opens the file. It may be told that the database is busy: if
// its open fell between the lease and the rename, so that it has got the
// replaced file, of which nobody may read or write any more.
func TestPushesBesideAnotherProcessThatOpensAllTheTime(t *testing.T) {
	t.Parallel()
	for m, mode := range []string{"WAL", "DELETE"} {
		for d, delay := range []struct {
			where        string
			microseconds int
		}{{}, {"openat:delay_enter", 30000}, {"newfstatat:delay_exit", 2000}, {"openat:delay_exit", 30000}} {
			t.Run(mode+"/"+delay.where, func(t *testing.T) {
				testenv.Every(t, m+d, 4)
				r := startRace(t, mode)
				var wrapper []string
				if delay.where != "" {
					wrapper = delayedAt(t, r.service.path, delay.where, delay.microseconds)
				}
				o := startLoop(r.trail, "reopen", "file:"+r.service.path+"?_busy_timeout=500", wrapper...)
				for range *pushes {
					r.pushBy(r.push(swapper.PushOptions{}), o)
				}
				r.finish(o)
			})
		}
	}
}

// raceOfTwo has another program on the file, with this driver and a socket of its own.
func raceOfTwo(t *testing.T, mode string) (*race, *loop, *sockserver.Client) {
	r := startRace(t, mode)
	o := startLoop(r.trail, "hotswap", "file:"+r.service.path+"?_txlock=immediate&_busy_timeout=60000&_journal="+mode)
	client := sockserver.NewClient(sockserver.ClientConfig{SocketPath: o.socket})
	t.Cleanup(client.Close)
	return r, o, client
}

// TestTwoProgramsPushInTurn has two of them on one file, each with this
// driver and its own socket.
func TestTwoProgramsPushInTurn(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"WAL", "DELETE"} {
		t.Run(mode, func(t *testing.T) {
			r, o, client := raceOfTwo(t, mode)
			path := r.service.path
			pushThere := func(data []byte) (swapper.Report, error) {
				return client.Push(context.Background(), path, bytes.NewReader(data), sockserver.PushParams{Backup: true, Quick: true})
			}
			for range *pushes / 2 {
				r.pushBy(r.push(swapper.PushOptions{}), o)
				r.pushBy(pushThere, o)
			}
			r.finish(o)
			if o.busy > 0 {
				t.Errorf("a call of the other program's was told %d times that the database is busy", o.busy)
			}
		})
	}
}

// TestTwoProgramsPushAtOnce: one push comes after the other, or is refused as
// busy. There is one backup name for the two, so what is looked for at the end is
// in the last database only.
func TestTwoProgramsPushAtOnce(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"WAL", "DELETE"} {
		t.Run(mode, func(t *testing.T) {
			r, o, client := raceOfTwo(t, mode)
			path := r.service.path
			for i := range *pushes {
				here, there := fmt.Sprintf("here%d", i), fmt.Sprintf("there%d", i)
				failed := make(chan error, 1)
				data := source(t, there)
				go func() {
					_, err := client.Push(context.Background(), path, bytes.NewReader(data), sockserver.PushParams{Quick: true})
					failed <- err
				}()
				_, err := r.service.push(source(t, here), swapper.PushOptions{Quick: true})
				for _, err := range []error{err, <-failed} {
					if err != nil && !busyPush(err) {
						t.Error(err)
					}
				}
				r.stamp = r.service.stamp()
				if got := o.readsNow(); got != r.stamp || got != here && got != there {
					t.Errorf("the service reads %s, the other program %s", r.stamp, got)
				}
			}
			r.keepsNone = true
			r.finish(o)
		})
	}
}

// busyPush reports whether a push was refused to be tried again, here or over
// the socket.
func busyPush(err error) bool {
	var p *sockserver.Problem
	return errors.Is(err, swapper.ErrBusy) || errors.As(err, &p) && p.Status == http.StatusConflict
}

// TestAProcessThatLocksTheNewDatabaseBeforeTheProgramOpensItKeepsItsWrite comes
// when the new file has its name, which a delay makes a second before the program
// has looked at it: what it was told is written must not go with a swap that is
// undone. It waits in open(2) until then, and may meet the program's own writes.
func TestAProcessThatLocksTheNewDatabaseBeforeTheProgramOpensItKeepsItsWrite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "live.sqlite3")
	makeDatabase(t, path, "live", 200)
	tr := newTrail(t, path)
	// Its connections wait for that process's lock before the push returns.
	program := startLoop(tr, "hotswap", "file:"+path+"?_busy_timeout=500&_journal=DELETE", delayedAt(t, path, "renameat2:delay_exit", 1000000)...)
	client := sockserver.NewClient(sockserver.ClientConfig{SocketPath: program.socket})
	defer client.Close()
	before := info(t, path)
	pushed := make(chan error, 1)
	data := source(t, "new")
	go func() {
		report, err := client.Push(context.Background(), path, bytes.NewReader(data), sockserver.PushParams{Backup: true})
		if err == nil {
			tr.keep(report.BackupPath, "live")
		}
		pushed <- err
	}()
	testenv.Eventually(t, func() error {
		if os.SameFile(before, info(t, path)) {
			return errors.New("not renamed")
		}
		return nil
	})
	// It keeps its lock for longer than the program looks.
	o := startOther(t, "file:"+path+"?_locking_mode=EXCLUSIVE&_busy_timeout=20")
	testenv.Eventually(t, func() error {
		stamp := o.run(write("elsewhere"))
		if strings.HasPrefix(stamp, "error: ") {
			return errors.New(stamp)
		}
		tr.acknowledged("elsewhere", stamp)
		return nil
	})
	if err := <-pushed; err != nil {
		t.Error(err)
	}
	o.quit()
	if got := program.readsNow(); got != "new" {
		t.Errorf("the program reads %s", got)
	}
	program.quit()
	tr.check()
}
