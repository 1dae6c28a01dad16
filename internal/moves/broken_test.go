package moves

import "testing"

// TestWithoutTheDoorTheHarnessFindsWhatGoesWrong takes the door away, which keeps
// the process from having two files of one path open, and does nothing worse than
// mv while other databases attach the file: what is wrong then must be seen in
// what is read, or in the files.
func TestWithoutTheDoorTheHarnessFindsWhatGoesWrong(t *testing.T) {
	content := []fault{faultCrash, faultMixed, faultCorrupt, faultLost, faultDoubled, faultHidden, faultVanished}
	const worlds = 5
	for n := range worlds {
		p := worldPlan{n: n, journal: "WAL", layout: layoutPlain}
		for i := range 6 {
			p.steps = append(p.steps, step{move: moveOver, journal: "WAL", rows: 40 + 60*(i%3), gap: 150_000_000})
		}
		w := newWorld(t, p)
		w.noDoor, w.callers = true, "^[wra]"
		v := check(w.run())
		counts := v.count()
		for _, f := range content {
			if counts[f] > 0 {
				t.Logf("after %d moves at most:\n%s", (n+1)*len(p.steps), v.String())
				return
			}
		}
	}
	t.Errorf("nothing found in %d worlds", worlds)
}
