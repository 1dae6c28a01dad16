package sockserver

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"hotswap/driver"
	"hotswap/swapper"
)

// The program is killed while it copies, checks, or swaps: with the descriptor it has had
// the whole source from the beginning.
func TestAPushThatBreaksOffBeforeTheSwapHasChangedNothing(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 0)
	writeFile(t, dir+"/new", "x")
	for _, test := range []struct {
		name                     string
		swaps, descriptor, knows bool
	}{
		{"as it copies", false, true, true},
		{"as it checks a body, perhaps on another machine", false, false, false},
		{"as it swaps", true, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := startServer(t, shortDir(t), Config{}, func(a *api) {
				a.push = func(ctx context.Context, _ *driver.Database, src io.Reader, opts swapper.PushOptions) (swapper.Report, error) {
					if !test.descriptor {
						io.Copy(io.Discard, src)
					}
					if test.swaps {
						opts.BeforeSwap()
					}
					connOf(ctx).Close() // as if it were killed
					return swapper.Report{}, errors.New("killed")
				}
			})
			var src io.Reader = strings.NewReader("x")
			if test.descriptor {
				src = openFile(t, dir+"/new", os.O_RDONLY)
			}
			_, err := newTestClient(t, s).Push(t.Context(), TheDatabase, src, PushParams{})
			if !errors.Is(err, ErrConnectionLost) || errors.Is(err, swapper.ErrOutcomeUnknown) == test.knows {
				t.Errorf("got %v", err)
			}
		})
	}
}
