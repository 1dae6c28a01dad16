package fleet

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"hotswap/internal/unix"
)

// claim is what a node has of a database, so that no node of another name does: with a pin of one
// of them, or between two waves, each would swap in what the other has just swapped out. It is a
// lock (flock) on a file beside the database, which the kernel takes away from a process that
// dies. Those of one name share it: a release may overlap the next.
type claim struct{ file *os.File }

// claimPatience is how long somebody may take who is just about to write, or to remove, the file.
const claimPatience = time.Second

// errClaimed: a node of another name has the database.
var errClaimed = errors.New("has this database already: of the processes that share one, one joins, and the others follow through the driver")

// claimDatabase claims the database at a path for a node.
func claimDatabase(path, node string) (*claim, error) {
	path += "-hotswap-node"
	for began := time.Now(); ; time.Sleep(claimPatience / 100) {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
		if err != nil {
			return nil, err
		}
		c := &claim{file}
		switch owner, err := c.take(node); {
		case errors.Is(err, unix.EWOULDBLOCK) && time.Since(began) < claimPatience:
			file.Close()
		case err != nil:
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		case owner.node != node:
			file.Close()
			return nil, fmt.Errorf("%w: node %s (process %s) %w", ErrConfig, owner.node, owner.pid, errClaimed)
		default:
			return c, nil
		}
	}
}

// owner is what the file says.
type owner struct{ node, pid string }

// take locks the file, and says whose it is. EWOULDBLOCK says that somebody else is at it.
func (c *claim) take(node string) (o owner, err error) {
	fd := int(c.file.Fd())
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err == nil {
		if err := c.write(node); err != nil {
			return o, err
		}
	} else if !errors.Is(err, unix.EWOULDBLOCK) {
		return o, err
	}
	// From the one lock to the other the kernel may let somebody in between, who writes another
	// name: so it is read in any case.
	if err := unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB); err != nil {
		return o, err
	}
	if !c.named() {
		return o, unix.EWOULDBLOCK // it was removed between the open and the lock
	}
	text, err := io.ReadAll(io.NewSectionReader(c.file, 0, 128))
	o.node, o.pid, _ = strings.Cut(strings.TrimSpace(string(text)), " ")
	return o, err
}

func (c *claim) write(node string) error {
	text := fmt.Appendf(nil, "%s %d\n", node, os.Getpid())
	_, err := c.file.WriteAt(text, 0)
	return errors.Join(err, c.file.Truncate(int64(len(text))))
}

// named reports whether the file still has its name: without one it keeps nobody out.
func (c *claim) named() bool {
	mine, err := c.file.Stat()
	there, thereErr := os.Lstat(c.file.Name())
	return err == nil && thereErr == nil && os.SameFile(mine, there)
}

// release gives it up, and removes the file, unless another of that name has it, too.
func (c *claim) release() {
	if unix.Flock(int(c.file.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil && c.named() {
		os.Remove(c.file.Name())
	}
	c.file.Close()
}
