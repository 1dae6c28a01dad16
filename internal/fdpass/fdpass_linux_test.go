package fdpass

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/internal/testenv"
	"hotswap/internal/transfer"
)

func TestPassedFileIsCopiedWithinTheKernel(t *testing.T) {
	content := strings.Repeat("0123456789", 100_000)
	path := writeFile(t, content)
	source, err := os.Open(path)
	must(t, err)
	defer source.Close()
	server, client := connect(t, NewReceiver())
	sent := false
	sender := NewSender(client, Source(source), func() { sent = true })
	_, err = sender.Write([]byte("hello"))
	must(t, err)
	_, err = sender.Write([]byte(" again")) // carries nothing
	must(t, err)
	receive(t, server, "hello again")
	file := server.Take()
	if file == nil || !sent || server.Take() != nil {
		t.Fatalf("got %v, sent %v", file, sent)
	}
	defer file.Close()
	must(t, file.Readable())
	stage, err := os.Create(filepath.Join(t.TempDir(), "stage"))
	must(t, err)
	defer stage.Close()
	from := file.Source(time.Minute).(transfer.FileSource)
	n, err := from.CopyTo(t.Context(), stage, 0, from.Size())
	must(t, err)
	must(t, from.Unchanged(t.Context()))
	if got, err := os.ReadFile(stage.Name()); err != nil || n != int64(len(content)) || string(got) != content {
		t.Errorf("copied %d bytes of %d, %v", n, len(content), err)
	}
	must(t, stage.Close())
	if isOpen(t, stage.Name()) {
		t.Error("the stage is open in the keeper still, so nobody gets a lease on it")
	}
	if err := file.Writable(); err == nil {
		t.Error("a file that is open for reading may be written to")
	}
}

func TestPassedFileIsFilled(t *testing.T) {
	path := writeFile(t, strings.Repeat("old", 100))
	snapshot, err := os.Open(writeFile(t, "the snapshot"))
	must(t, err)
	defer snapshot.Close()
	server, client := connect(t, NewReceiver())
	send(t, client, "x", open(t, path, unix.O_WRONLY))
	receive(t, server, "x")
	file := server.Take()
	defer file.Close()
	must(t, file.Writable())
	to := file.Dest(time.Minute, false).(transfer.FileDest)
	n, err := to.CopyFrom(t.Context(), snapshot, 0, 12)
	must(t, err)
	must(t, to.Truncate(t.Context(), n))
	if got, err := os.ReadFile(path); err != nil || string(got) != "the snapshot" {
		t.Errorf("the file has %q, %v", got, err)
	}
	if err := file.Readable(); err == nil {
		t.Error("a file that is open for writing may be read")
	}
}

func TestOnlyOneRegularFileIsTaken(t *testing.T) {
	path := writeFile(t, "content")
	pipe := make([]int, 2)
	must(t, unix.Pipe2(pipe, unix.O_CLOEXEC|unix.O_DIRECT))
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	one := open(t, path, unix.O_RDWR)
	for name, test := range map[string]struct {
		fds   []int
		words string
	}{
		"directory":           {[]int{open(t, filepath.Dir(path), unix.O_RDONLY)}, "of a directory"},
		"device":              {[]int{open(t, "/dev/null", unix.O_RDWR)}, "of a device"},
		"pipe of packets":     {[]int{pipe[1]}, "of a pipe of packets"},
		"path":                {[]int{open(t, path, unix.O_PATH)}, "O_PATH"},
		"past the page cache": {[]int{open(t, path, unix.O_RDONLY|unix.O_DIRECT)}, "O_DIRECT"},
		"two":                 {[]int{one, one}, "more than one"},
		"two hundred":         {slices.Repeat([]int{one}, 200), "more than one"},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := connect(t, NewReceiver())
			send(t, client, "x", test.fds...)
			receive(t, server, "x")
			file := server.Take()
			if file == nil {
				t.Fatal("nothing came")
			}
			defer file.Close()
			var reading, writing *UnusableError
			if !errors.As(file.Readable(), &reading) || !errors.As(file.Writable(), &writing) ||
				!strings.Contains(reading.Reason, test.words) {
				t.Errorf("got %v and %v", file.Readable(), file.Writable())
			}
		})
	}
}

func TestFileThatComesLaterIsDropped(t *testing.T) {
	path := writeFile(t, "content")
	server, client := connect(t, NewReceiver())
	send(t, client, "first")
	receive(t, server, "first")
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	must(t, err)
	send(t, client, "second", fd)
	unix.Close(fd)
	receive(t, server, "second")
	if server.Take() != nil {
		t.Error("it was received")
	}
	if isOpen(t, path) {
		t.Error("it is open")
	}
}

func TestFileThatNobodyTookIsClosedWithItsConnection(t *testing.T) {
	path := writeFile(t, "content")
	server, client := connect(t, NewReceiver())
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	must(t, err)
	send(t, client, "x", fd)
	unix.Close(fd)
	receive(t, server, "x")
	if !isOpen(t, path) {
		t.Fatal("it did not come")
	}
	server.Close()
	testenv.Until(t, "it is closed", func() bool { return !isOpen(t, path) })
}

// A POSIX lock is gone as soon as the process closes any descriptor of its file.
func TestLockOutlivesAFileThatIsReceivedAndClosed(t *testing.T) {
	path := writeFile(t, "content")
	lock := func() unix.Flock_t { return unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: 0, Len: 1} }
	ours, other := open(t, path, unix.O_RDWR), open(t, path, unix.O_RDWR)
	set := lock()
	must(t, unix.FcntlFlock(uintptr(ours), unix.F_SETLK, &set))
	for range 10 {
		server, client := connect(t, NewReceiver())
		send(t, client, "x", other)
		receive(t, server, "x")
		file := server.Take()
		must(t, file.Readable())
		file.Close()
		server.Close()
		// Another open file description, and so another owner, sees the lock.
		probe := lock()
		must(t, unix.FcntlFlock(uintptr(other), unix.F_OFD_GETLK, &probe))
		if probe.Type == unix.F_UNLCK {
			t.Fatal("the lock is gone")
		}
	}
}

func TestAsManyFilesAsThereIsRoomForAreKept(t *testing.T) {
	path := writeFile(t, "content")
	r := NewReceiver()
	fd := open(t, path, unix.O_RDONLY)
	var kept []*File
	for i := range maxKeepers + 2 {
		server, client := connect(t, r)
		send(t, client, "bytes", fd)
		receive(t, server, "bytes")
		file := server.Take()
		if (file != nil) != (i < maxKeepers) {
			t.Fatalf("connection %d brought %v", i, file)
		}
		if file != nil {
			kept = append(kept, file)
		}
	}
	kept[0].Close()
	server, client := connect(t, r)
	send(t, client, "bytes", fd)
	receive(t, server, "bytes")
	if file := server.Take(); file == nil {
		t.Error("there is no room again")
	} else {
		kept = append(kept, file)
	}
	for _, file := range kept {
		file.Close()
	}
}

func TestWatchEndsWhenThePeerLeaves(t *testing.T) {
	server, client := connect(t, NewReceiver())
	ctx, stop := server.Watch(t.Context())
	client.Close()
	<-ctx.Done()
	stop()
	server, _ = connect(t, NewReceiver())
	ctx, stop = server.Watch(t.Context())
	if ctx.Err() != nil {
		t.Error("it ended, and the peer is there")
	}
	stop()
}

func TestStepThatTakesTooLongIsAbandoned(t *testing.T) {
	server, client := connect(t, NewReceiver())
	send(t, client, "x", open(t, writeFile(t, "content"), unix.O_RDONLY))
	receive(t, server, "x")
	file := server.Take()
	hang := make(chan struct{})
	_, err := inKeeper(t.Context(), file.keeper, time.Millisecond, func() (int, error) { <-hang; return 0, nil })
	if !errors.Is(err, ErrStalled) {
		t.Errorf("got %v", err)
	}
	file.Close() // does not wait for what hangs
	close(hang)
	<-file.keeper.gone
}

func TestOnlyAFileThatStandsForItsContentIsSent(t *testing.T) {
	path := writeFile(t, "content")
	read, err := os.Open(path)
	must(t, err)
	defer read.Close()
	if Source(read) == nil || Source(bytes.NewReader(nil)) != nil {
		t.Error("a file at its beginning is one, and a reader is none")
	}
	_, err = read.Seek(1, io.SeekStart)
	must(t, err)
	if Source(read) != nil {
		t.Error("a file is not at its beginning")
	}
	for flags, want := range map[int]bool{os.O_TRUNC: true, os.O_TRUNC | os.O_APPEND: false, 0: false} {
		if flags == 0 {
			must(t, os.WriteFile(path, []byte("content"), 0o600))
		}
		dst, err := os.OpenFile(path, os.O_WRONLY|flags, 0)
		must(t, err)
		defer dst.Close()
		if got := Dest(dst) != nil; got != want {
			t.Errorf("with flags %#x: %v", flags, got)
		}
	}
}
