package driver

import (
	"errors"

	"hotswap/internal/session"
	"hotswap/internal/sqltext"
)

// What a forced freeze took away without its owner knowing it yet.
const (
	lostTx   = 1 // a Tx: reported by Commit, Rollback, or a call in between
	lostRaw  = 2 // a transaction begun by SQL text: reported until its end
	lostTold = 3 // the same, and reported by a call
)

// lostError is what a call gets whose transaction a forced freeze took; nil if its text
// begins one anew. While a program may be in the midst of its transaction, nothing that
// it runs may be committed by itself.
func (c *conn) lostError(query string) error {
	if _, anew := c.anew(query); anew {
		return nil
	}
	c.lost.CompareAndSwap(lostRaw, lostTold)
	return ErrForced
}

// anew reports whether the text may run although the transaction before it is lost, and
// what is to be run before it. Rolling back to the outermost savepoint gives up all that
// is lost: that savepoint is made again. So does a ROLLBACK with more after it. A BEGIN,
// or the outermost SAVEPOINT once more, comes from a program that has been told. A text that
// may not run does not.
func (c *conn) anew(query string) (before string, ok bool) {
	lost := c.lost.Load()
	if lost == lostTx || !c.executes {
		return "", false
	}
	class := sqltext.Classify(query)
	switch {
	case class.First&sqltext.RollsBack != 0:
		return "BEGIN", class.Several
	case class.First&sqltext.Savepoint != 0:
		does, name := sqltext.Statements(query)[0].Savepoint()
		if lastNamed(c.savepoints, name) != 0 && (len(c.savepoints) == 0 || c.savepoints[0] != name) {
			return "", false
		}
		switch does {
		case sqltext.RollsBackToSavepoint:
			return "SAVEPOINT " + session.Quote(name), lastNamed(c.savepoints, name) == 0
		case sqltext.MakesSavepoint:
			return "", lost == lostTold
		}
		return "", false
	}
	return "", class.First&sqltext.Begins != 0 && lost == lostTold
}

// endsLost ends the loss if err reports it and query is the end of the lost transaction:
// COMMIT or ROLLBACK, be it behind other statements, or RELEASE of its outermost savepoint. It returns true for a
// ROLLBACK, which then succeeds, as there is nothing left to do.
func (c *conn) endsLost(err error, query string) bool {
	if lost := c.lost.Load(); !errors.Is(err, ErrForced) || lost != lostRaw && lost != lostTold {
		return false
	}
	class := sqltext.Classify(query)
	ends := class.All&(sqltext.Commits|sqltext.RollsBack) != 0 && class.All&sqltext.Begins == 0
	if class.First&sqltext.Savepoint != 0 {
		does, name := sqltext.Statements(query)[0].Savepoint()
		if at := lastNamed(c.savepoints, name); does == sqltext.ReleasesSavepoint && at >= 0 {
			c.savepoints = c.savepoints[:at]
			ends = at == 0
		}
	}
	if ends {
		c.lost.Store(0)
	}
	return class.First&sqltext.RollsBack != 0 && !class.Several
}

// noteSavepoints follows which savepoints are open, outermost first, in a transaction
// that SAVEPOINT has begun: releasing the outermost ends it. Of one begun by BEGIN
// nothing is kept, since only COMMIT and ROLLBACK end that. in says whether c was in a
// transaction before the text, err what came of it. The caller owns c.
func (c *conn) noteSavepoints(query string, in bool, err error) {
	if !in {
		c.savepoints = nil
	}
	for _, st := range sqltext.Statements(query) {
		does, name := st.Savepoint()
		at, first := lastNamed(c.savepoints, name), st.Tokens[0]
		switch {
		case first.Is("BEGIN"):
			in = true
		case does == sqltext.MakesSavepoint:
			if !in || len(c.savepoints) > 0 {
				c.savepoints = append(c.savepoints, name)
			}
			in = true
		case err != nil: // perhaps it was this one that failed
		case does == 0 && (first.Is("COMMIT") || first.Is("END") || first.Is("ROLLBACK")):
			c.savepoints, in = nil, false
		case does == sqltext.ReleasesSavepoint && at >= 0:
			c.savepoints, in = c.savepoints[:at], at > 0
		case does == sqltext.RollsBackToSavepoint && at >= 0:
			c.savepoints = c.savepoints[:at+1]
		}
	}
	if !c.inTransaction() {
		c.savepoints = nil
	}
}

// lastNamed returns the index of the innermost savepoint of that name, or -1.
func lastNamed(savepoints []string, name string) int {
	for i := len(savepoints) - 1; i >= 0; i-- {
		if savepoints[i] == name {
			return i
		}
	}
	return -1
}
