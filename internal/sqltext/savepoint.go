package sqltext

// SavepointVerb is what a statement does with a savepoint.
type SavepointVerb uint8

const (
	MakesSavepoint       SavepointVerb = iota + 1 // SAVEPOINT x
	ReleasesSavepoint                             // RELEASE x
	RollsBackToSavepoint                          // ROLLBACK TO x
)

// Savepoint says what the statement does with a savepoint, if anything, and its name,
// in lower case, as SQLite compares it.
func (st *Statement) Savepoint() (does SavepointVerb, name string) {
	first := st.Tokens[0]
	switch {
	case first.Is("SAVEPOINT"):
		does = MakesSavepoint
	case first.Is("RELEASE"):
		does = ReleasesSavepoint
	case first.Is("ROLLBACK"):
		for _, t := range st.Tokens[1:] {
			if t.Is("TO") {
				does = RollsBackToSavepoint
			}
		}
	}
	if does == 0 {
		return 0, ""
	}
	return does, st.Tokens[len(st.Tokens)-1].Name()
}
