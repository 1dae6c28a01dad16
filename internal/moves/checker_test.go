package moves

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// check compares what the program was told with what the files have that were at
// the path. It is a function of the history alone.
func check(h history) verdict {
	h.sort()
	v := verdict{}
	if h.Crash != "" {
		v.add(faultCrash, "%s", h.Crash)
	}
	for _, s := range h.Stuck {
		v.add(faultStuck, "%s", s)
	}
	for _, b := range h.Broken {
		if b.Touched != "" {
			v.add(faultTouched, "%s: %s", b.Text, b.Touched)
		}
	}
	c := checker{&h, &v, h.generations()}
	c.calls()
	c.order()
	c.told()
	c.pushes()
	if h.Crash == "" { // or what is beside a file was not brought into it
		c.files()
		c.writes()
	}
	return v
}

type checker struct {
	*history
	v      *verdict
	served map[uint64]map[string]event // the stamps of each generation, and who saw them first
}

// calls looks at each call by itself.
func (c *checker) calls() {
	for _, e := range c.Events {
		switch {
		case e.Fail != "":
			if !c.excused(e) {
				c.v.add(faultFailed, "%s: %s: %s", e, e.Fail, e.Text)
			}
		case e.Call == callTold:
			// It saw nothing of the file.
		case e.Low != e.High && e.Call == callNested && c.inPlaceDuring(e):
			// Its Rows read the old content, and what it queries inside, the new one.
		case e.Low != e.High:
			c.v.add(faultMixed, "%s saw %s and %s at once", e, e.Low, e.High)
		case e.Low == "":
			c.v.add(faultHidden, "%s saw no items", e)
		case e.Bad > 0:
			c.v.add(faultMixed, "%s saw %d items that are not of %s", e, e.Bad, e.Low)
		case e.Rows != rowsOf(e.Low):
			c.v.add(faultMixed, "%s saw %d items of %s", e, e.Rows, e.Low)
		}
	}
}

func (c *checker) inPlaceDuring(e event) bool {
	return slices.ContainsFunc(c.Pushes, func(p push) bool {
		return c.mayPrecede(p.Stamp) && p.Start <= e.End && e.Start <= p.End
	})
}

// excused tells whether a call may fail so: what the documentation says of it.
func (c *checker) excused(e event) bool {
	switch e.Fail {
	case failMoot:
		return true
	case failForced: // callNested, if a swap has closed the second connection, which can't open then before the first lets go
		// Without a WAL readers and writers wait for one another, also while they drain.
		return (e.Call == callLong || e.Call == callNested) && (e.End-e.Start > patience || c.waited(e)) || c.Rollback && c.pending(e.Start, e.End)
	case failReplaced:
		return c.unwhole(e.Start, e.End)
	case failOther:
		return e.Call == callPull && (c.unwhole(e.Start, e.End) || c.closed(e.Start, e.End))
	case failMoved: // without a WAL, or on the way to one
		return c.pending(e.Start, e.End)
	case failIO, failCantOpen: // the journal can't be made, where the directory is gone
		attach := e.Call == callAttach || e.Call == callAttachWrite
		return c.Rollback && e.Seq > 0 && c.pending(e.Start, e.End) || e.Fail == failCantOpen && attach && c.unwhole(e.Start, e.End)
	}
	return false
}

// patience is most of what work under way has when a file has been put at the path.
const patience = 4e9

// waited reports whether a file had waited at the path for that long when the call ended,
// and was not served when it began: what is under way then is interrupted, whenever it
// began.
func (h *history) waited(e event) bool {
	return slices.ContainsFunc(h.Puts, func(p put) bool {
		served := h.firstSeen(p.Stamp)
		return p.From+patience <= e.End && e.Start <= served && served < math.MaxInt64
	})
}

// generations returns what each generation was seen to be, and the call that saw
// it first. Of a content that is written in place the number comes a moment after
// it, and Rows that were open before go on with what they have.
func (h *history) generations() map[uint64]map[string]event {
	served := map[uint64]map[string]event{}
	for _, e := range h.Events {
		if e.Fail != "" || e.First == 0 || e.First != e.Last || e.Low != e.High || e.Low == "" || h.mayPrecede(e.Low) || e.Call == callLong {
			continue
		}
		if served[e.First] == nil {
			served[e.First] = map[string]event{}
		}
		if _, seen := served[e.First][e.Low]; !seen {
			served[e.First][e.Low] = e
		}
	}
	return served
}

// mayPrecede tells whether the version may have been seen before its generation
// began: it was written in place, or may have been.
func (h *history) mayPrecede(stamp string) bool {
	return slices.ContainsFunc(h.Pushes, func(p push) bool {
		return p.Stamp == stamp && (p.InPlace || p.Outcome == pushUnknown)
	})
}

// order holds the calls against the generations.
func (c *checker) order() {
	last := map[string]uint64{}
	for _, g := range slices.Sorted(maps.Keys(c.served)) {
		stamps := c.served[g]
		if len(stamps) > 1 {
			c.v.add(faultUnnoted, "generation %d was %s", g, seenBy(stamps))
		}
		for s := range stamps {
			last[s] = max(last[s], g)
		}
	}
	for _, e := range c.Events {
		if g, known := last[e.High]; known && e.Fail == "" && e.Call != callLong && g < e.First {
			c.v.add(faultStale, "%s saw %s, which was generation %d", e, e.High, g)
		}
	}
}

// told looks whether OnSwap has run for each generation.
func (c *checker) told() {
	if c.Crash != "" {
		return
	}
	begun, told := map[uint64]bool{}, map[uint64]bool{1: true}
	for _, e := range c.Events {
		if e.Call == callSwap || e.Call == callTold {
			told[e.First] = true
		}
		begun[e.Last] = e.Call != callPull
	}
	for _, g := range slices.Sorted(maps.Keys(begun)) {
		if begun[g] && !told[g] {
			c.v.add(faultUntold, "OnSwap did not run for generation %d", g)
		}
	}
}

// seenBy lists what a generation was seen to be.
func seenBy(stamps map[string]event) string {
	var all []string
	for _, s := range slices.Sorted(maps.Keys(stamps)) {
		all = append(all, fmt.Sprintf("%s (%s)", s, stamps[s].Call))
	}
	return strings.Join(all, " and ")
}

func (c *checker) pushes() {
	for _, p := range c.Pushes {
		switch p.Outcome {
		case pushDone:
			before := c.served[p.Generation-1]
			if _, was := before[p.Backup]; p.Backup != "" && len(before) > 0 && !was {
				c.v.add(faultSwallowed, "the push of %s replaced %q, and generation %d was %s",
					p.Stamp, p.Backup, p.Generation-1, seenBy(before))
			}
		case pushRefused:
			if at := c.firstSeen(p.Stamp); at < 1<<62 {
				c.v.add(faultGhost, "the push of %s was refused (%s), and it was read", p.Stamp, p.Text)
			}
			if !c.mayRefuse(p) {
				c.v.add(faultFailed, "the push of %s: %s: %s", p.Stamp, p.Problem, p.Text)
			}
		}
	}
}

// mayRefuse tells whether a push may be refused so: a temporary problem may;
// anything else must be about what is at the path, or that the program does
// not manage it at the time.
func (c *checker) mayRefuse(p push) bool {
	return p.Problem.Temporary() || c.unwhole(p.Start, p.End) || c.closed(p.Start, p.End)
}

func (c *checker) closed(start, end int64) bool {
	return slices.ContainsFunc(c.Closed, func(p put) bool { return p.From <= end && start <= p.Until })
}

// files looks at each file by itself, and for those that are missing.
func (c *checker) files() {
	found := map[string]bool{}
	for _, f := range c.Files {
		found[f.stamp] = true
		switch {
		case f.stamp == "" && f.bare:
			c.v.add(faultConjured, "%s: %s", f.name, f.damage)
		case f.damage != "":
			c.v.add(faultCorrupt, "%s (%s): %s", f.name, f.stamp, f.damage)
		case f.stamp == "":
			c.v.add(faultHidden, "%s has no items", f.name)
		case len(f.stamps) > 1:
			c.v.add(faultMixed, "%s has rows of %s", f.name, strings.Join(f.stamps, " and "))
		case f.digest != digestOf(f.stamp):
			c.v.add(faultMixed, "%s does not have the items of %s", f.name, f.stamp)
		}
	}
	for _, p := range c.Puts {
		if p.State == stateWhole && p.Stamp != "" && !found[p.Stamp] {
			c.v.add(faultVanished, "%s (%s) was put at the path and is nowhere", p.Stamp, p.Text)
		}
	}
	for _, p := range c.Pushes {
		if p.Outcome == pushDone && !found[p.Stamp] {
			c.v.add(faultVanished, "%s was pushed and is nowhere", p.Stamp)
		}
	}
}

// writes looks for each acknowledged write in the file of the version that it
// went to. There may be several files of one version: one of them must have all.
func (c *checker) writes() {
	acked := map[string][]event{}
	attempts := map[ackID]bool{}
	for _, e := range c.Events {
		if e.Seq == 0 {
			continue
		}
		attempts[ackID{e.Who, e.Seq}] = true
		if e.Fail == "" {
			acked[e.Low] = append(acked[e.Low], e)
		}
	}
	for _, stamp := range slices.Sorted(maps.Keys(acked)) {
		c.acknowledged(stamp, acked[stamp])
	}
	holder := map[ackID]string{}
	for _, f := range c.Files {
		for id, n := range f.acks {
			switch other, has := holder[id]; {
			case n > 1:
				c.v.add(faultDoubled, "write %s/%d is %d times in %s", id.writer, id.seq, n, f.name)
			case has && other != f.stamp:
				c.v.add(faultDoubled, "write %s/%d is in %s and in %s", id.writer, id.seq, other, f.stamp)
			case !attempts[id]:
				c.v.add(faultUnknown, "write %s/%d is in %s, and nobody wrote it", id.writer, id.seq, f.name)
			}
			holder[id] = f.stamp
		}
	}
}

func (c *checker) acknowledged(stamp string, writes []event) {
	best := append([]event{}, writes...)
	files := 0
	for _, f := range c.Files {
		if f.stamp != stamp {
			continue
		}
		files++
		var missing []event
		for _, e := range writes {
			if f.acks[ackID{e.Who, e.Seq}] == 0 {
				missing = append(missing, e)
			}
		}
		if files == 1 || len(missing) < len(best) {
			best = missing
		}
	}
	for _, e := range best {
		c.v.add(faultLost, "write %s/%d into %s was acknowledged and is not in its %d files", e.Who, e.Seq, stamp, files)
	}
}
