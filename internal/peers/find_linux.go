package peers

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/internal/fileid"
)

// Find connects to the endpoints of other processes, except the one named own. Those
// that can't be reached, or are another user's, are left out, and do not count against
// the most that are asked: whoever likes can take names that look like ours. Those for
// which last is true come last, so that they hide nobody else: of our own user's processes,
// too, there may be more than are asked that answer nothing. It waits for nobody.
func Find(own string, last func(name string) bool) []*Conn {
	table, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return nil
	}
	var conns []*Conn
	began := time.Now()
	for _, name := range putLast(endpoints(table), last) {
		if name == own {
			continue
		}
		if len(conns) == maxPeers || time.Since(began) > findPatience {
			break
		}
		// Never blocks: with its queue full, a Unix socket refuses (EAGAIN).
		c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: name, Net: "unix"})
		if err != nil {
			continue
		}
		conn, err := newConn(c)
		if err != nil {
			c.Close()
			continue
		}
		conn.Name = name
		conns = append(conns, conn)
	}
	return conns
}

// putLast changes the order of the names.
func putLast(names []string, last func(name string) bool) []string {
	var late []string
	names = slices.DeleteFunc(names, func(name string) bool {
		is := last(name)
		if is {
			late = append(late, name)
		}
		return is
	})
	return append(names, late...)
}

// endpoints returns the names of the endpoints that may be of our user, of any version,
// in the kernel's table of sockets. A name may be anybody's; who it is the kernel says
// later.
func endpoints(table []byte) (names []string) {
	us := []string{fmt.Sprint(os.Geteuid()), "0"}
	seen := map[string]bool{} // also those who are connected there are listed, by the same name
	for line := range bytes.Lines(table) {
		_, name, ok := bytes.Cut(line, []byte(" "+prefix))
		if !ok {
			continue
		}
		rest := strings.TrimSuffix(string(name), "\n")
		part := strings.Split(rest, "/")
		full := prefix + rest
		if len(part) == 3 && slices.Contains(us, part[1]) && len(full) < maxName && !seen[full] {
			seen[full] = true
			names = append(names, full)
		}
	}
	return names
}

// maxName is more than that of any endpoint.
const maxName = 100

// ClaimedError is returned by Claim if another process has the file.
type ClaimedError struct{ Process Process }

func (e *ClaimedError) Error() string {
	if e.Process.PID == 0 {
		return "another process is replacing it"
	}
	return fmt.Sprintf("process %d (%s) is replacing it", e.Process.PID, e.Process.Command())
}

const claimPrefix = "@hotswap-push/"

// errUnclaimable: somebody of another user has the name.
var errUnclaimable = errors.New("another user's process holds the name that pushes to this file claim")

// Claim makes this process the only one of its user's that replaces the file, until
// release is called. A *ClaimedError says which process does so already. A new file may
// have the inode of one that was just replaced, so that is not enough to tell it.
func Claim(file fileid.ID) (release func(), err error) {
	name := claimPrefix + file.Text()
	for began := time.Now(); ; {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
		if err == nil {
			return func() {
				shutdown(l)
				l.Close()
			}, nil
		}
		if !errors.Is(err, unix.EADDRINUSE) {
			return nil, err
		}
		c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: name, Net: "unix"})
		switch {
		case err == nil:
		case errors.Is(err, unix.ECONNREFUSED):
			// Gone, or not yet listening; or released, and a child that was just started
			// still has a copy of the descriptor.
			if time.Since(began) > preExecPatience {
				return nil, errors.New("the name that pushes to this file claim stays taken")
			}
			pause()
			continue
		default:
			return nil, &ClaimedError{}
		}
		who, err := processOf(c)
		c.Close()
		switch {
		case err != nil:
			return nil, err
		case !ours(who.UID):
			return nil, errUnclaimable
		}
		return nil, &ClaimedError{who}
	}
}

// preExecPatience bounds the wait for a child that has not begun its own program.
const preExecPatience = 500 * time.Millisecond

func pause() { time.Sleep(5 * time.Millisecond) }
