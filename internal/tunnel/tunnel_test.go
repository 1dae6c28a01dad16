package tunnel

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// pipes is one end of a pair of pipes.
type pipes struct{ r, w *os.File }

func (p pipes) Read(b []byte) (int, error)  { return p.r.Read(b) }
func (p pipes) Write(b []byte) (int, error) { return p.w.Write(b) }
func (p pipes) Close() error                { return errors.Join(p.r.Close(), p.w.Close()) }

func pair(t *testing.T) (home, there pipes) {
	t.Helper()
	theirIn, ourOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ourIn, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	home, there = pipes{ourIn, ourOut}, pipes{theirIn, theirOut}
	t.Cleanup(func() { home.Close(); there.Close() })
	return home, there
}

// served returns a tunnel whose connections arrive at accepted.
func served(t *testing.T) (through *Tunnel, accepted net.Listener, done chan error) {
	t.Helper()
	accepted, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { accepted.Close() })
	home, there := pair(t)
	done = make(chan error, 1)
	go func() {
		done <- Serve(there, func(question []byte) (any, func() (net.Conn, error)) {
			return "to " + string(question), func() (net.Conn, error) { return net.Dial("unix", accepted.Addr().String()) }
		})
	}()
	through, err = Open(home)
	if err != nil {
		t.Fatal(err)
	}
	var answer string
	if err := through.Ask("it", &answer); err != nil || answer != "to \"it\"\n" {
		t.Fatalf("got %q, %v", answer, err)
	}
	return through, accepted, done
}

func TestWhatIsSentArrivesInBothDirections(t *testing.T) {
	through, accepted, done := served(t)
	data := make([]byte, 3*window)
	rand.Read(data)
	conn, err := through.Dial()
	if err != nil {
		t.Fatal(err)
	}
	go conn.Write(data)
	at, err := accepted.Accept()
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(data))
	if _, err := io.ReadFull(at, got); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("there: %v", err)
	}
	go func() {
		at.Write(data)
		at.Close()
	}()
	if got, err := io.ReadAll(conn); err != nil || !bytes.Equal(got, data) {
		t.Errorf("back: %d bytes, %v", len(got), err)
	}
	through.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAnAnswerIsReadThoughTheServerTakesNoMore(t *testing.T) {
	through, accepted, _ := served(t)
	conn, err := through.Dial()
	if err != nil {
		t.Fatal(err)
	}
	wrote := make(chan error, 1)
	go func() {
		_, err := conn.Write(make([]byte, 4*window))
		wrote <- err
	}()
	at, err := accepted.Accept()
	if err != nil {
		t.Fatal(err)
	}
	io.ReadFull(at, make([]byte, 1000))
	at.(*net.UnixConn).CloseRead()
	io.WriteString(at, "refused")
	at.Close()
	if got, err := io.ReadAll(conn); err != nil || string(got) != "refused" {
		t.Errorf("got %q, %v", got, err)
	}
	conn.Close()
	if err := <-wrote; err == nil {
		t.Error("all of it was written")
	}
}

func TestWhatIsGivenUpIsClosedThere(t *testing.T) {
	through, accepted, _ := served(t)
	conn, err := through.Dial()
	if err != nil {
		t.Fatal(err)
	}
	at, err := accepted.Accept()
	if err != nil {
		t.Fatal(err)
	}
	at.SetDeadline(time.Now().Add(20 * time.Second))
	stuck := make(chan error, 1)
	go func() { // more than anybody reads
		_, err := io.Copy(at, neverEnding{})
		stuck <- err
	}()
	io.ReadFull(conn, make([]byte, 1000))
	reading := make(chan error, 1)
	other, err := through.Dial()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := other.Read(make([]byte, 1))
		reading <- err
	}()
	conn.Close()
	other.Close()
	if err := <-stuck; err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("there: %v", err)
	}
	if err := <-reading; err == nil {
		t.Error("a closed connection is read")
	}
}

type neverEnding struct{}

func (neverEnding) Read(p []byte) (int, error) { return len(p), nil }

func TestEveryConnectionEndsWithThePipes(t *testing.T) {
	through, accepted, done := served(t)
	conn, err := through.Dial()
	if err != nil {
		t.Fatal(err)
	}
	at, err := accepted.Accept()
	if err != nil {
		t.Fatal(err)
	}
	through.Close()
	<-through.Ended()
	if err := <-done; err != nil {
		t.Error(err)
	}
	at.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := at.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("there: %v", err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("here: it is read")
	}
	if _, err := through.Dial(); err == nil {
		t.Error("a connection was made")
	}
}

// said is a connection whose other end says only that.
type said struct{ io.Reader }

func (said) Write(p []byte) (int, error) { return len(p), nil }
func (said) Close() error                { return nil }

func TestWhatIsNoGreetingIsTold(t *testing.T) {
	noise := errors.New("noise")
	for text, want := range map[string]error{
		"":                           io.EOF,
		"Welcome\n" + greeting:       noise,
		strings.Repeat("x", 100<<20): noise,
		"hotswap dial-stdio 2\n":     ErrVersion,
		"hotswap dial-stdio 1":       nil,
		"hotswap dial-stdio ":        noise,
		"\nhotswap dial-stdio 1\n":   noise,
	} {
		_, err := Open(said{strings.NewReader(text)})
		if want == noise {
			if got, is := errors.AsType[*NoiseError](err); !is || len(got.Text) > maxNoise {
				t.Errorf("%.40q: %v", text, err)
			}
		} else if !errors.Is(err, want) {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

func TestAnAnswerThatNeverEndsIsGivenUp(t *testing.T) {
	for name, flood := range map[string]io.Reader{
		"frames of nothing":  neverEnding{},
		"silence with pings": repeated{0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0},
		"one long answer":    io.MultiReader(bytes.NewReader([]byte{0, 0, 0, 2, 0, 0, 0, 1, 0, 4, 0, 0}), neverEnding{}),
	} {
		through, err := Open(said{io.MultiReader(strings.NewReader(greeting), flood)})
		if err != nil {
			t.Fatal(err)
		}
		if err := through.Ask("it", new(any)); err == nil {
			t.Errorf("%s: an answer", name)
		}
		through.Close()
	}
}

// repeated is that, again and again.
type repeated []byte

func (r repeated) Read(p []byte) (int, error) {
	n := 0
	for n+len(r) <= len(p) {
		n += copy(p[n:], r)
	}
	return n, nil
}

func TestClosingWaitsForNothing(t *testing.T) {
	home, there := pair(t)
	go io.WriteString(there, greeting) // and then it is silent, and reads nothing
	through, err := Open(home)
	if err != nil {
		t.Fatal(err)
	}
	defer through.Close()
	conn, err := through.Dial()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Read(make([]byte, 1))
		ended <- err
	}()
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		conn.Write(make([]byte, window)) // more than the pipe holds
	}()
	conn.Close()
	if err := <-ended; err == nil {
		t.Error("something was read")
	}
	through.Close()
	<-wrote
}
