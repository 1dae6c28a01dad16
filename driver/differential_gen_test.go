package driver_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// generator makes steps at random, without regard to what they find.
type generator struct {
	*rand.Rand
	freezes bool
	texts   map[string][]string
	hot     []string // texts that recur, for the statement cache
	texted  [5]string
}

func newGenerator(rng *rand.Rand, dsn string, freezes bool) *generator {
	g := &generator{Rand: rng, freezes: freezes, texts: map[string][]string{}}
	var without []string
	if freezes {
		without = append(without, lostOnFreeze)
		if strings.Contains(dsn, "_journal=") {
			without = append(without, `journal_mode =`) // a new connection sets the DSN's again
		}
	}
	if strings.Contains(dsn, "cache=shared") {
		without = append(without, schemaLocks)
		if freezes {
			without = append(without, `cache_size =`) // applies to all connections
		}
	}
	left := regexp.MustCompile(strings.Join(without, "|"))
	for kind, texts := range diffTexts {
		for text := range strings.Lines(texts) {
			if text = strings.TrimSuffix(text, "\n"); text != "" && (len(without) == 0 || !left.MatchString(text)) {
				g.texts[kind] = append(g.texts[kind], text)
			}
		}
	}
	for range 5 {
		g.hot = append(g.hot, g.pick("read"), g.pick("write"))
	}
	g.hot = append(g.hot, g.pick("odd"))
	return g
}

// lostOnFreeze are TEMP tables, a database in memory, the count of a connection's
// changes, the length of the write-ahead log, whether the list of databases has
// "temp" in it yet, and what leaves a statement open; see leavesOpen.
const lostOnFreeze = `(?i)temp|count_changes = 1|memory:|total_changes|wal_checkpoint|database_list`

// schemaLocks are what makes every statement that is to be compiled fail on
// other connections, with a shared cache: even a ROLLBACK. Ours has it prepared.
const schemaLocks = `(?i)create|drop|alter|journal_mode =`

func (g *generator) pick(kind string) string {
	return g.texts[kind][g.IntN(len(g.texts[kind]))]
}

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func oneOf[T any](g *generator, all ...T) T { return all[g.IntN(len(all))] }

func (g *generator) text() string {
	switch n := g.IntN(100); {
	case n < 60:
		return g.hot[g.IntN(len(g.hot))]
	case n < 70:
		return g.pick("read")
	case n < 80:
		return g.pick("write")
	case n < 87:
		return g.pick("schema")
	case n < 93:
		return g.pick("pragma")
	case n < 96:
		return g.pick("attach")
	}
	return g.pick("odd")
}

func (g *generator) on() on {
	switch n := g.IntN(10); {
	case n < 5:
		return on{kind: "db"}
	case n < 8:
		return on{"conn", g.IntN(2)}
	}
	return on{"tx", g.IntN(2)}
}

func (g *generator) ctx() string {
	switch n := g.IntN(20); n {
	case 0:
		return "ended"
	case 1:
		return "expired"
	case 2, 3, 4:
		return "live"
	}
	return ""
}

var parameter = regexp.MustCompile(`\?(\d*)|[:@$]([a-z])\b`)

// args are mostly as many as the text has parameters.
func (g *generator) args(text string) (args []any) {
	n := 0
	names := []string{}
	for _, m := range parameter.FindAllStringSubmatch(text, -1) {
		if i, err := strconv.Atoi(m[1]); err == nil {
			n = max(n, i)
		} else if m[2] == "" {
			n++
		} else if !slices.Contains(names, m[2]) {
			names = append(names, m[2])
		}
	}
	n += oneOf(g, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, 1)
	for range n {
		args = append(args, g.value())
	}
	g.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names {
		switch g.IntN(15) {
		case 0:
		case 1:
			args = append(args, g.value())
		case 2:
			args = append(args, sql.Named("other", 1))
		default:
			args = append(args, sql.Named(name, g.value()))
		}
	}
	return args
}

func (g *generator) value() any {
	if g.chance(60) {
		return g.IntN(8)
	}
	seven := 7
	at := time.Date(2024, 2, 3, 4, 5, 6, 789000000, time.FixedZone("", 3*3600))
	return oneOf[any](g, nil, "", "u", "one", "1", "ünï", "a\x00b", int64(1)<<62, int64(math.MinInt64), 1500, -1, 0.1, math.NaN(), math.Inf(1),
		1e300, []byte{}, []byte(nil), []byte{0, 255}, true, false, at, at.UTC(), time.Time{}, int8(-3), uint16(9), float32(0.5), uint64(1)<<63,
		sql.NullString{}, sql.NullInt64{Int64: 5, Valid: true}, &seven, (*int)(nil), json.RawMessage("{}"), time.Minute, struct{}{}, []int{1}, `{"a": 1}`, "{")
}

// nothing matches texts whose first statement is empty: go-sqlite3 crashes on what is
// done with one prepared.
var nothing = regexp.MustCompile(`^\s*(--.*|;.*)?$`)

// hidden is a pragma that acts when it is prepared, even if it is not run then, and
// whose value SQLite does not return.
var hidden = regexp.MustCompile(`case_sensitive_like`)

// step makes one; its text is what a failure shows.
func (g *generator) step() step {
	o, ctx, text := g.on(), g.ctx(), g.text()
	args := g.args(text)
	if nothing.MatchString(text) || g.freezes && hidden.MatchString(text) {
		ctx = ""
	}
	n, place := oneOf(g, -1, -1, -1, 0, 1, 2), -1
	if g.chance(25) {
		n, place = g.IntN(3), g.IntN(4)
	}
	dest := oneOf(g, "any", "any", "any", "int", "string", "bytes", "time", "bool", "float", "raw", "null")
	say := func(format string, args ...any) string {
		return strings.TrimSpace(fmt.Sprintf(format, args...) + " " + ctx)
	}
	switch c := g.IntN(100); {
	case c < 22:
		if g.chance(20) && (o.kind == "conn" || o.kind == "tx" && g.chance(30) || o.kind == "db" && !g.freezes && g.chance(10)) {
			text, args = g.pick("control"), nil
		}
		return step{say("%s exec %q %#v", o, text, args), func(s *side) string { return s.exec(o, ctx, text, args) }}
	case c < 42:
		return step{say("%s query %q %#v, %d rows to %d", o, text, args, n, place), func(s *side) string { return s.query(o, ctx, text, args, n, place) }}
	case c < 47:
		return step{say("%s query row %q %#v into %s", o, text, args, dest), func(s *side) string { return s.queryRow(o, ctx, text, args, dest) }}
	case c < 52:
		k := g.IntN(5)
		if nothing.MatchString(text) || g.freezes && hidden.MatchString(text) {
			text = "SELECT 1"
		}
		g.texted[k] = text
		return step{say("%s prepare %q to %d", o, text, k), func(s *side) string { return s.prepare(o, k, ctx, text) }}
	case c < 66:
		k := g.IntN(5)
		args := g.args(g.texted[k])
		switch {
		case g.chance(30):
			return step{say("stmt%d exec %#v", k, args), func(s *side) string { return s.execStmt(k, ctx, args) }}
		case g.chance(20):
			return step{say("stmt%d query row %#v into %s", k, args, dest), func(s *side) string { return s.queryRowStmt(k, ctx, args, dest) }}
		}
		return step{say("stmt%d query %#v, %d rows to %d", k, args, n, place), func(s *side) string { return s.queryStmt(k, ctx, args, n, place) }}
	}
	return g.handleStep(o, ctx)
}

// handleStep makes one that is not a query.
func (g *generator) handleStep(o on, ctx string) step {
	k, from := g.IntN(2), g.IntN(5)
	switch c := g.IntN(34); {
	case c < 6:
		place, n := g.IntN(4), 1+g.IntN(3)
		return step{fmt.Sprintf("rows%d next %d", place, n), func(s *side) string { return s.readOn(place, n) }}
	case c < 8:
		place := g.IntN(4)
		return step{fmt.Sprintf("rows%d close", place), func(s *side) string { return s.closeRows(place) }}
	case c < 9:
		place := g.IntN(4)
		return step{fmt.Sprintf("rows%d cancel", place), func(s *side) string { return s.cancelRows(place) }}
	case c < 14:
		var opts *sql.TxOptions
		if g.chance(30) {
			opts = &sql.TxOptions{ReadOnly: g.chance(50), Isolation: oneOf(g, sql.LevelDefault, sql.LevelSerializable, sql.LevelReadCommitted)}
		}
		return step{fmt.Sprintf("%s begin %+v to %d %s", o, opts, k, ctx), func(s *side) string { return s.begin(o, k, ctx, opts) }}
	case c < 18:
		return step{fmt.Sprintf("tx%d commit", k), func(s *side) string { return s.endTx(k, (*sql.Tx).Commit) }}
	case c < 20:
		return step{fmt.Sprintf("tx%d rollback", k), func(s *side) string { return s.endTx(k, (*sql.Tx).Rollback) }}
	case c < 21:
		return step{fmt.Sprintf("tx%d cancel", k), func(s *side) string { return s.cancelTx(k) }}
	case c < 23:
		to := g.IntN(5)
		g.texted[to] = g.texted[from]
		return step{fmt.Sprintf("tx%d stmt%d to %d", k, from, to), func(s *side) string { return s.txStmt(k, from, to) }}
	case c < 24:
		return step{fmt.Sprintf("stmt%d close", from), func(s *side) string { return s.closeStmt(from) }}
	case c < 27:
		return step{fmt.Sprintf("conn%d pin %s", k, ctx), func(s *side) string { return s.pin(k, ctx) }}
	case c < 28:
		return step{fmt.Sprintf("conn%d close", k), func(s *side) string { return s.closeConn(k) }}
	case c < 29:
		return step{fmt.Sprintf("%s ping %s", o, ctx), func(s *side) string { return s.ping(o, ctx) }}
	case c < 30:
		return step{fmt.Sprintf("idle %d", k), func(s *side) string { return s.idle(k) }}
	}
	if g.freezes {
		return freezeStep
	}
	return step{"stats", func(*side) string { return "" }}
}
