package driver_test

import (
	"os"
	"strings"
	"testing"

	"hotswap/driver"
)

func TestAFileThatIsRemovedIsWarnedOfOnce(t *testing.T) {
	r := startReplaced(t, "WAL")
	driver.StopLooking(r.db)
	look := func(times int) (warnings int) {
		for range times {
			driver.Look(r.db)
		}
		return strings.Count(r.log.String(), "removed or moved away")
	}
	if look(3) != 0 {
		t.Errorf("a file that is there: %s", r.log)
	}
	if err := os.Rename(r.live, r.live+".away"); err != nil {
		t.Fatal(err)
	}
	if look(1) != 0 {
		t.Error("a moment without a file is no reason: another may be on its way")
	}
	if look(3) != 1 {
		t.Errorf("one that is gone: %s", r.log)
	}
	if err := os.Rename(r.live+".away", r.live); err != nil {
		t.Fatal(err)
	}
	r.write()
	if look(3) != 1 || r.db.Generation() != 1 {
		t.Errorf("one that is back: %s", r.log)
	}
	r.sound()
}
