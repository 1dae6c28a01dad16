//go:build linux

package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"hotswap/internal/engine"
	"hotswap/internal/fleetapp"
	"hotswap/internal/repository"
)

const publisherEnv = "HOTSWAP_CHAOS_PUBLISHER"

// publication is what a publisher in a process of its own is to do.
type publication struct{ Engine, File string }

// publishAlone is that process.
func publishAlone(argument string) {
	if err := func() error {
		var p publication
		if err := json.Unmarshal([]byte(argument), &p); err != nil {
			return err
		}
		e, err := engine.Connect(context.Background(), engine.Config{URL: p.Engine})
		if err != nil {
			return err
		}
		r, err := repository.Open(context.Background(), e, nil)
		if err != nil {
			return err
		}
		fmt.Println("connected")
		_, err = r.Publish(context.Background(), fleetapp.Channel, p.File, repository.PublishOptions{})
		return err
	}(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// killed has a process publish, and kills it in the midst. If it was too late, there is a
// version that nobody orders.
func (o *operator) killed() {
	w := o.w
	argument, err := json.Marshal(publication{addresses(w.c.ports), o.prepare(false)})
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), publisherEnv+"="+string(argument))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	defer cmd.Wait()
	if n, _ := out.Read(make([]byte, 100)); n == 0 {
		return // it has not reached the engine
	}
	time.Sleep(time.Duration(w.rng.IntN(100)) * time.Millisecond)
	if cmd.Process.Kill() == nil {
		w.did("publisher killed")
	}
}

// kept is how many versions a collection leaves.
const kept = 8

// collect removes old versions, and chunks if nobody publishes.
func (o *operator) collect() {
	w := o.w
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer cancel()
	if done, err := w.repo.GC(ctx, repository.GCOptions{Keep: kept}); err == nil && done.Chunks > 0 {
		w.did("collected")
	}
}
