package driver_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

func TestAnOnSwapThatDoesNotReturnIsNamedAndHoldsUpNoCaller(t *testing.T) {
	defer driver.SetOnSwapPatience(time.Millisecond)()
	db, d := open(t, "", 1)
	var log lines
	logger := zerolog.New(&log)
	end := make(chan struct{})
	defer d.OnSwap(func(driver.Swap) { <-end })()
	f := mustFreeze(t, d, driver.FreezeOptions{Logger: &logger})
	f.Replaced()
	f.Thaw()
	if said := log.with("an OnSwap callback has not returned"); len(said) != 1 {
		t.Errorf("it is logged %d times: %s", len(said), said)
	}
	mustExec(t, db, "INSERT INTO t (v) VALUES ('x')")
	if s := d.Stats(); s.OnSwap <= 0 || s.Frozen {
		t.Errorf("the statistics say %+v", s)
	}
	if _, err := d.Freeze(t.Context(), driver.FreezeOptions{}); !errors.Is(err, driver.ErrFreezing) || !strings.Contains(err.Error(), "OnSwap callbacks") {
		t.Errorf("the next freeze: %v", err)
	}
	close(end)
	testenv.Until(t, "the callback has returned", func() bool { return d.Stats().OnSwap == 0 })
	mustFreeze(t, d, driver.FreezeOptions{}).Thaw()
}
