package swapper

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"time"

	"hotswap/driver"
	"hotswap/internal/fileid"
	"hotswap/internal/openers"
	"hotswap/internal/printable"
)

// mayRename refuses a rename that is ruled out by what is known with the gate open. The
// lease has the last word.
func (p *push) mayRename() error {
	if !p.target.exists {
		return p.nobodyElsewhere()
	}
	if p.opts.method() == MethodInPlace {
		return &failure{text: "asked for", inPlace: true}
	}
	if why := openers.Blindness(); why != "" {
		return &failure{text: why, kinds: []error{ErrTarget}, hint: "mount it, or push in place (--method=in-place)", inPlace: true}
	}
	if doubt := leaseDoubt(p.target.dir); doubt != "" {
		if p.opts.method() == MethodAuto && leasesExist {
			return &failure{text: doubt, inPlace: true}
		}
		p.events.warn("renaming anyway: "+doubt, nil)
	} else {
		p.wantLease = true
	}
	return p.nobodyElsewhere()
}

// inPlaceAhead reports whether the push will most likely go in place, before anything is
// received.
func (p *push) inPlaceAhead() bool {
	if !p.target.exists {
		return false
	}
	switch p.opts.method() {
	case MethodInPlace:
		return true
	case MethodRename:
		return false
	}
	if openers.Blindness() != "" || leasesExist && leaseDoubt(p.target.dir) != "" {
		return true
	}
	others := openers.At(p.target.path)
	if len(others) > 0 {
		others, _ = p.withoutPeers(others)
	}
	return len(others) > 0
}

// errInPlace returns what kept a push from renaming, if going in place gets
// round it.
func errInPlace(err error) error {
	var f *failure
	if errors.As(err, &f) && f.inPlace {
		return f
	}
	return nil
}

// nobodyElsewhere refuses while another process is seen to have the live file open, or the
// one that was removed: it would go on with the old file, and its writes would be lost.
func (p *push) nobodyElsewhere() error {
	file := p.target.state.inode()
	switch {
	case p.target.exists:
	case p.removed.file == fileid.None:
		return nil
	case !p.removed.open:
		if err := p.unopened(); err != nil {
			return err
		}
		fallthrough
	default:
		file = p.removedInode()
	}
	var others []openers.Process
	var preExec bool
	look := func() bool {
		others, preExec = openers.Look(file)
		return preExec
	}
	openers.InTurn(look)
	// A lease would see a pre-exec child that keeps the file; without one the child is
	// waited for, until it is counted.
	for began := time.Now(); preExec && !p.wantLease && time.Since(began) <= preExecPatience; {
		time.Sleep(time.Millisecond)
		openers.InTurn(look)
	}
	if len(others) == 0 {
		return nil
	}
	if others, apart := p.withoutPeers(others); len(others) > 0 {
		return p.errOpenElsewhere(others, apart...)
	}
	return nil
}

// withoutPeers leaves those of the processes that will not take part in the swap, and
// says why they don't if they are peers all the same.
func (p *push) withoutPeers(all []openers.Process) (others []openers.Process, apart []driver.Peer) {
	if !leasesExist || leaseDoubt(p.target.dir) != "" {
		return all, nil // nothing would prove that they have closed it
	}
	known := p.db.Peers()
	for _, o := range all {
		i := slices.IndexFunc(known, func(peer driver.Peer) bool { return peer.PID == o.PID })
		switch {
		case i < 0:
			others = append(others, o)
		case known[i].Problem != "":
			others, apart = append(others, o), append(apart, known[i])
		}
	}
	return others, apart
}

const (
	// preExecPatience bounds the wait for a pre-exec child of the program that keeps the
	// lease from us: it may have to wait for a processor.
	preExecPatience = 500 * time.Millisecond
	// unseenPatience bounds the wait for a process that is not seen: it may have opened
	// the file just now.
	unseenPatience = 50 * time.Millisecond
	// leaseTries is how often the lease is tried at least: a machine that is short of
	// processors may not get to more within that time.
	leaseTries = 25
)

// holdForks has the program start no other process until release: where several goroutines
// do that all the time, each try may meet a pre-exec child, and each look come when it has
// gone. A start in progress is waited for, up to the patience.
func holdForks(patience time.Duration) (release func()) {
	held := make(chan struct{})
	over := make(chan struct{})
	go func() {
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		close(held)
		<-over
	}()
	select {
	case <-held:
	case <-time.After(patience):
	}
	return func() { close(over) }
}

// untilAlone calls lease until somebody else is seen to have the file open, or is not seen
// for too long.
func (p *push) untilAlone(file openers.Inode, lease func() error) error {
	began, patience := time.Now(), unseenPatience
	for try := 1; ; try++ {
		err := lease()
		if !errors.Is(err, errLeaseRefused) && !errors.Is(err, errFenceRefused) {
			return err
		}
		others, preExec := openers.Look(file)
		if preExec {
			patience = preExecPatience // the next look may come between two of them
		}
		if len(others) > 0 || try >= leaseTries && time.Since(began) > patience {
			return p.errOpenElsewhere(others)
		}
		if try == 1 {
			defer holdForks(preExecPatience)()
		}
		time.Sleep(time.Millisecond)
	}
}

// errOpenElsewhere is the error that says who else has the live file open.
func (p *push) errOpenElsewhere(others []openers.Process, apart ...driver.Peer) error {
	who := "a process that this one may not inspect"
	if len(others) > 0 {
		who = joinProcesses(others)
	}
	for _, peer := range apart {
		who += "; " + peer.String() + " " + printable.Line(peer.Problem)
	}
	if !p.target.exists {
		return errRemovedElsewhere(who)
	}
	return &failure{text: "the database is open in " + who, kinds: []error{ErrBusy},
		hint:    "stop the other process from using it, since it would keep using the replaced file, and try again, or push in place (--method=in-place)",
		inPlace: true,
	}
}

func joinProcesses(all []openers.Process) string {
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = p.String()
	}
	return strings.Join(names, ", ")
}
