package main

import (
	"context"
	"encoding/json"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/mattn/go-isatty"

	"hotswap/internal/dbpath"
	"hotswap/internal/fdpass"
	"hotswap/internal/tunnel"
	"hotswap/sockserver"
)

// dialStdioCmd is what runs on the other machine: it finds the program there, and hands
// on what goes between its socket and the command at home.
type dialStdioCmd struct {
	sockets `embed:""`
}

// Help is the text below the flags.
func (dialStdioCmd) Help() string {
	return "The other end of `hotswap cp SRC HOST:DST`, which starts it through ssh. With --socket it connects to that program only."
}

// dialQuestion is what the command at home asks. A file's name need not be UTF-8, which
// a string of JSON is.
type dialQuestion struct {
	Path   []byte `json:"path"`             // as given, relative to the working directory here
	Base   []byte `json:"base,omitempty"`   // the name in Path, if that is a directory
	Socket []byte `json:"socket,omitempty"` // the one to use, if --socket names one
}

// dialAnswer says what was found.
type dialAnswer struct {
	Socket  []byte      `json:"socket,omitempty"`
	Path    []byte      `json:"path,omitempty"` // of the managed database, or what the path leads to
	Managed bool        `json:"managed,omitempty"`
	Dir     bool        `json:"dir,omitempty"`
	Mode    fs.FileMode `json:"mode,omitempty"` // of the database's file; 0: not known
	// Exit is not 0 if there is nothing to connect to; Error and Hint say why.
	Exit  int    `json:"exit,omitempty"`
	Error string `json:"error,omitempty"`
	Hint  string `json:"hint,omitempty"`
}

// Run serves one command.
func (c *dialStdioCmd) Run(ctx context.Context, stdio *streams) error {
	if isatty.IsTerminal(stdio.in.Fd()) || isatty.IsTerminal(stdio.out.Fd()) {
		return usagef("dial-stdio speaks to a hotswap on another machine, not to a terminal").
			withHint("on that machine: `hotswap cp new.sqlite3 HOST:DATABASE`")
	}
	// A signal has nothing to wait for: what is cut off is undone.
	ended := make(chan error, 1)
	go func() { ended <- c.serve(ctx, stdio) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// serve returns once the command at home has closed.
func (c *dialStdioCmd) serve(ctx context.Context, stdio *streams) error {
	fdpass.Widen(stdio.in)
	fdpass.Widen(stdio.out)
	var failed error
	err := tunnel.Serve(stdinout{stdio.in, stdio.out}, func(question []byte) (any, func() (net.Conn, error)) {
		answer, client, err := c.answer(ctx, question)
		if err != nil {
			failed = printedError{err} // there
			e := explain(err)
			return dialAnswer{Exit: exitCode(err), Error: e.text, Hint: e.hint}, nil
		}
		return answer, func() (net.Conn, error) { return client.Dial(ctx) }
	})
	if failed != nil {
		return failed
	}
	return err
}

// stdinout is both, as one connection.
type stdinout struct{ in, out *os.File }

func (s stdinout) Read(p []byte) (int, error)  { return s.in.Read(p) }
func (s stdinout) Write(p []byte) (int, error) { return s.out.Write(p) }

func (s stdinout) Close() error {
	s.in.Close()
	return s.out.Close()
}

// answer finds the program and the database.
func (c *dialStdioCmd) answer(ctx context.Context, question []byte) (answer dialAnswer, client *sockserver.Client, err error) {
	var asked dialQuestion
	if err := json.Unmarshal(question, &asked); err != nil {
		return answer, nil, usagef("the question can't be read: %v", err)
	}
	where := c.sockets
	if socket := string(asked.Socket); socket != "" {
		if where.Socket != "" && where.Socket != socket {
			return answer, nil, failf(exitNotAllowed, "--socket can't be chosen: the command there is bound to %s", where.Socket)
		}
		where.Socket = fromHome(socket)
	}
	path := filepath.FromSlash(fromHome(string(asked.Path)))
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		if len(asked.Base) > 0 {
			path = filepath.Join(path, filepath.Base(string(asked.Base)))
		} else {
			answer.Dir = true
		}
	}
	program, err := where.find(ctx, nil, path)
	if err != nil {
		return answer, nil, err
	}
	// Only a program of ours gets the bytes, whatever socket was named.
	if version, err := program.client.Version(ctx); err != nil || version.Protocol == 0 {
		return answer, nil, failf(exitNoServer, "%s is not a hotswap server's socket", program.client.SocketPath())
	}
	found, err := locate(path, program.list)
	if err != nil {
		return answer, nil, err
	}
	answer.Managed = found.managed
	answer.Socket = []byte(program.client.SocketPath())
	if abs, err := filepath.Abs(program.client.SocketPath()); err == nil {
		answer.Socket = []byte(abs)
	}
	if found.managed {
		answer.Path = []byte(found.path)
	} else if real, err := dbpath.Real(path); err == nil {
		answer.Path = []byte(real)
	}
	if info, err := os.Stat(string(answer.Path)); err == nil && found.managed {
		answer.Mode = info.Mode().Perm()
	}
	return answer, program.client, nil
}

// fromHome replaces a leading ~, as a shell would; a file called - is one.
func fromHome(path string) string {
	if path == stdioName {
		return "./" + path
	}
	if below, is := strings.CutPrefix(path, "~"); is && (below == "" || below[0] == '/') {
		if home, err := os.UserHomeDir(); err == nil {
			return home + below
		}
	}
	return path
}
