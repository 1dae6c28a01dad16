package fdpass

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/internal/transfer"
)

// passPipe passes one end of a new pipe, and returns the other one.
func passPipe(t *testing.T, reading bool) (passed *File, other *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	t.Cleanup(func() { r.Close(); w.Close() })
	mine, theirs := r, w
	if reading {
		mine, theirs = w, r
	}
	server, client := connect(t, NewReceiver())
	_, err = NewSender(client, mine, nil).Write([]byte("x"))
	must(t, err)
	receive(t, server, "x")
	must(t, mine.Close())
	passed = server.Take()
	t.Cleanup(passed.Close)
	return passed, theirs
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(1)).Read(b)
	return b
}

// both runs a test with splice(2), and where the kernel has no use for it.
func both(t *testing.T, test func(t *testing.T, bytewise bool)) {
	t.Run("within the kernel", func(t *testing.T) { test(t, false) })
	t.Run("byte by byte", func(t *testing.T) { test(t, true) })
}

func TestWhatComesThroughAPassedPipeArrives(t *testing.T) {
	both(t, func(t *testing.T, bytewise bool) {
		content := randomBytes(3<<20 + 17)
		passed, w := passPipe(t, false)
		must(t, passed.Readable())
		if passed.Writable() == nil {
			t.Error("the reading end may be written to")
		}
		passed.bytewise = bytewise
		go func() { w.Write(content); w.Close() }()
		path := filepath.Join(t.TempDir(), "stage")
		stage, err := os.Create(path)
		must(t, err)
		from, at := passed.Source(time.Minute).(transfer.PipeSource), int64(0)
		for {
			n, err := from.MoveTo(t.Context(), stage, at, 1<<20)
			must(t, err)
			if n == 0 {
				break
			}
			at += n
		}
		must(t, stage.Close())
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes arrived of %d: %v", at, len(content), err)
		}
		if isOpen(t, path) {
			t.Error("the stage is open in the keeper still, so nobody gets a lease on it")
		}
	})
}

func TestWhatIsMovedIntoAPassedPipeArrivesThoughTheFileIsGone(t *testing.T) {
	both(t, func(t *testing.T, bytewise bool) {
		content := randomBytes(3<<20 + 17)
		passed, r := passPipe(t, true)
		must(t, passed.Writable())
		passed.bytewise = bytewise
		snapshot := openFile(t, string(content))
		to, at := passed.Dest(time.Minute, false).(transfer.PipeDest), int64(0)
		got := make(chan []byte, 1)
		for at < int64(len(content)) {
			n, err := to.MoveFrom(t.Context(), snapshot, at, min(1<<20, int64(len(content))-at))
			must(t, err)
			if at == 0 { // not before it is full
				go func() { all, _ := io.ReadAll(r); got <- all }()
			}
			at += n
		}
		must(t, os.Remove(snapshot.Name()))
		must(t, snapshot.Close())
		passed.Close()
		if all := <-got; !bytes.Equal(all, content) {
			t.Errorf("%d bytes arrived of %d", len(all), len(content))
		}
	})
}

func openFile(t *testing.T, content string) *os.File {
	t.Helper()
	f, err := os.Open(writeFile(t, content))
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func TestAPipeHoldsMoreOnceItIsPassed(t *testing.T) {
	_, r := passPipe(t, true)
	if size, err := unix.FcntlInt(r.Fd(), unix.F_GETPIPE_SZ, 0); err != nil || size < wideBuffer {
		t.Errorf("it holds %d bytes: %v", size, err)
	}
}

func TestAPipeThatStandsStillIsGivenUp(t *testing.T) {
	both(t, func(t *testing.T, bytewise bool) {
		passed, _ := passPipe(t, true)
		passed.bytewise = bytewise
		content := openFile(t, string(randomBytes(3<<20)))
		to := passed.Dest(10*time.Millisecond, false).(transfer.PipeDest)
		full, err := to.MoveFrom(t.Context(), content, 0, 3<<20)
		if err != nil || full == 0 || full >= 3<<20 {
			t.Fatalf("moved %d bytes into a pipe that nobody reads: %v", full, err)
		}
		if n, err := to.MoveFrom(t.Context(), content, full, 1); n != 0 || !errors.Is(err, ErrPipeStalled) {
			t.Errorf("into a full pipe: %d, %v", n, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if n, err := passed.Dest(time.Hour, false).(transfer.PipeDest).MoveFrom(ctx, content, full, 1); n != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("with a context that has ended: %d, %v", n, err)
		}

		empty, _ := passPipe(t, false)
		empty.bytewise = bytewise
		stage, err := os.Create(filepath.Join(t.TempDir(), "stage"))
		must(t, err)
		defer stage.Close()
		if n, err := empty.Source(10*time.Millisecond).(transfer.PipeSource).MoveTo(t.Context(), stage, 0, 1); n != 0 || !errors.Is(err, ErrPipeStalled) {
			t.Errorf("from an empty pipe: %d, %v", n, err)
		}
	})
}

func TestAPipeThatNobodyReadsAnyMoreIsAnError(t *testing.T) {
	both(t, func(t *testing.T, bytewise bool) {
		passed, r := passPipe(t, true)
		passed.bytewise = bytewise
		must(t, r.Close())
		to := passed.Dest(time.Minute, false).(transfer.PipeDest)
		if _, err := to.MoveFrom(t.Context(), openFile(t, "content"), 0, 7); !errors.Is(err, ErrNoReader) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAwaitTellsDataFromTheEnd(t *testing.T) {
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	waiting := make(chan error, 1)
	go func() { waiting <- Await(t.Context(), r) }()
	_, err = w.WriteString("x")
	must(t, err)
	must(t, <-waiting)
	must(t, w.Close())
	must(t, Await(t.Context(), r)) // what is left comes first
	_, err = r.Read(make([]byte, 1))
	must(t, err)
	if err := Await(t.Context(), r); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}
