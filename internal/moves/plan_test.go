package moves

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"time"
)

// layout is how the program's path leads to the file.
type layout string

const (
	layoutPlain   layout = "plain"
	layoutCurrent layout = "current" // current/live.db, and current is a symlink to a release
	layoutData    layout = "data"    // live.db is a symlink to ..data/live.db, as Kubernetes has it
)

// move is a sort of thing that is done to the path.
type move string

const (
	moveOver    move = "mv new live"
	moveUnlink  move = "mv new live, which unlinks the old one" // elsewhere it keeps a name all the time
	moveGap     move = "mv live old; mv new live"
	moveRewrite move = "rm live; : >live; cat new >live"
	moveBroken  move = "mv broken live"
	moveBack    move = "mv live aside; mv aside live"
	moveIdle    move = "mv new live, with no connection open"
	moveReopen  move = "mv new live, while the program closes its pool and opens another"
	moveTurn    move = "ln -s new-release current"
	moveNone    move = "nothing"
)

// step is one move of a plan.
type step struct {
	move    move
	broken  string        // of moveBroken, what the file is
	journal string        // that the new file is in
	rows    int           // of the new version
	pause   time.Duration // within the move
	gap     time.Duration // after it
	await   bool          // until the new version is served, rather than for the gap
	held    bool          // of moveIdle, whether the first call is Rows that are held
	remove  bool          // of moveTurn, whether the old release is removed at once
}

// worldPlan is what one program meets.
type worldPlan struct {
	n       int
	journal string
	layout  layout
	creates bool
	one     bool
	slow    bool
	steps   []step
	pushes  []pushStep // gone through again and again
}

func (w worldPlan) String() string {
	return fmt.Sprintf("world %d: %s, %s, creates tables %v, one connection %v, slow readers %v",
		w.n, w.journal, w.layout, w.creates, w.one, w.slow)
}

// pushKind is what a client does.
type pushKind string

const (
	pushWhole  pushKind = "push"
	pushSlowly pushKind = "push, a piece at a time"
	pushCancel pushKind = "push, and cancel it"
	pushKill   pushKind = "push, and kill the client"
	pushBad    pushKind = "push garbage"
	pullWhole  pushKind = "pull"
)

type pushStep struct {
	kind   pushKind
	method string
	rows   int
	after  time.Duration // how long until it is cancelled, or how long it takes
	gap    time.Duration
}

// What a plan is limited to, by regular expressions. It is for looking into some
// part of it.
var onlyMoves, onlyPushes, onlyCallers = all, all, all

var all = regexp.MustCompile("")

// movesPerWorld is how many moves a program meets before another one starts.
const movesPerWorld = 10

// plan is what is done in a run of so many moves: the same for the same seed.
func plan(seed uint64, moves int) []worldPlan {
	var worlds []worldPlan
	for n := 0; moves > 0; n++ {
		r := rand.New(rand.NewPCG(seed, uint64(n)))
		count := min(moves, movesPerWorld)
		moves -= count
		worlds = append(worlds, planWorld(r, n, count))
	}
	return worlds
}

func planWorld(r *rand.Rand, n, moves int) worldPlan {
	w := worldPlan{
		n:       n,
		journal: pick(r, "WAL", "WAL", "DELETE"),
		layout:  pick(r, layoutPlain, layoutPlain, layoutCurrent, layoutData),
		creates: r.IntN(2) == 0,
		one:     r.IntN(6) == 0,
	}
	if *onlyJournal != "" {
		w.journal = *onlyJournal
	}
	w.slow = n%16 == 15 && w.journal == "WAL" && !w.one
	for range moves {
		w.steps = append(w.steps, planStep(r, w))
	}
	if onlyMoves.MatchString(string(moveOver)) {
		w.steps = append(w.steps, step{move: moveOver, journal: w.journal, rows: 90, await: true})
	}
	for range 40 {
		if p := planPush(r); onlyPushes.MatchString(string(p.kind) + " " + p.method) {
			w.pushes = append(w.pushes, p)
		}
	}
	return w
}

func planStep(r *rand.Rand, w worldPlan) step {
	kinds := []move{moveOver, moveOver, moveOver, moveUnlink, moveGap, moveRewrite, moveRewrite, moveBroken, moveBroken, moveBack, moveIdle, moveIdle, moveReopen}
	if w.layout != layoutPlain {
		kinds = append(kinds, moveTurn, moveTurn, moveTurn, moveTurn)
	}
	kinds = slices.DeleteFunc(kinds, func(m move) bool { return !onlyMoves.MatchString(string(m)) })
	kind := moveNone
	if len(kinds) > 0 {
		kind = pick(r, kinds...)
	}
	return step{
		move:    kind,
		broken:  pick(r, brokenEmpty, brokenCut, brokenGarbage),
		journal: pick(r, w.journal, w.journal, w.journal, "DELETE"),
		rows:    30 + r.IntN(270),
		pause:   upTo(r, 250*time.Millisecond),
		gap:     upTo(r, 600*time.Millisecond),
		await:   r.IntN(3) == 0,
		held:    r.IntN(2) == 0,
		remove:  r.IntN(2) == 0,
	}
}

func planPush(r *rand.Rand) pushStep {
	return pushStep{
		kind:   pick(r, pushWhole, pushWhole, pushWhole, pushWhole, pushSlowly, pushSlowly, pushCancel, pushKill, pushBad, pullWhole, pullWhole),
		method: pick(r, "auto", "rename", "in-place"),
		rows:   30 + r.IntN(270),
		after:  upTo(r, 60*time.Millisecond),
		gap:    upTo(r, 30*time.Millisecond),
	}
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

func upTo(r *rand.Rand, d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }
