package sockserver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAStartReadsADirectoryAsOftenWhateverIsInIt: else it would take a minute with ten
// thousand databases in one.
func TestAStartReadsADirectoryAsOftenWhateverIsInIt(t *testing.T) {
	t.Parallel()
	few, many := readsAtStart(t, 2), readsAtStart(t, 40)
	if few == 0 || many != few {
		t.Errorf("the directory is opened %d times for two databases, %d times for forty", few, many)
	}
}

// readsAtStart counts how often the directory of so many databases is opened at a start,
// beside the first of which a killed push has left a file.
func readsAtStart(t *testing.T, databases int) (n int) {
	dir := shortDir(t)
	for i := range databases {
		makeDatabase(t, fmt.Sprintf("%s/db%02d", dir, i), 1)
	}
	left := dir + "/.db00.hotswap-AAAAAAAAAAAA.stage"
	must(t, os.WriteFile(left, nil, 0o600))
	watch, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	must(t, err)
	defer unix.Close(watch)
	// Equal events that follow each other are one: so the ends as well.
	_, err = unix.InotifyAddWatch(watch, dir, unix.IN_OPEN|unix.IN_CLOSE)
	must(t, err)
	startServer(t, shortDir(t), Config{DatabasePaths: []string{dir + "/db*"}}, nil)
	if _, err := os.Lstat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was left is there: %v", err)
	}
	for events := make([]byte, 1<<16); ; {
		size, err := unix.Read(watch, events)
		if errors.Is(err, unix.EAGAIN) {
			return n
		}
		must(t, err)
		for rest := events[:size]; len(rest) > 0; {
			mask, name := binary.NativeEndian.Uint32(rest[4:]), binary.NativeEndian.Uint32(rest[12:])
			if mask == unix.IN_OPEN|unix.IN_ISDIR && name == 0 { // the directory itself
				n++
			}
			rest = rest[unix.SizeofInotifyEvent+name:]
		}
	}
}
