// Package fileid tells files apart, whatever their names: by device and inode number
// and, since a file system gives the number of a removed file to the next one it
// creates, also by the file's birth time or the number's generation. Change time and
// size are ignored: they change when somebody writes, links or renames.
package fileid

import (
	"errors"
	"fmt"
	"os"
)

// ID identifies a file. The zero value identifies none. IDs of one process may be
// compared with ==.
type ID struct {
	Dev, Ino uint64
	// made is a hash of the file's birth time and of its handle, which has the inode's
	// generation, as far as the system reports them.
	made uint64
}

// None is the ID of no file.
var None ID

// Text identifies the file to other processes of the machine, if they see the same of it:
// in a sandbox, say, one may be told less.
func (id ID) Text() string { return fmt.Sprintf("%d-%d-%x", id.Dev, id.Ino, id.made) }

// Look is Of, with an error if the system can't say whether there is a file, or which.
func Look(path string) (ID, error) {
	for range 2 { // it may have been put there in between
		if file := Of(path); file != None {
			return file, nil
		}
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return None, nil
		} else if err != nil {
			return None, err
		}
	}
	return None, fmt.Errorf("stat %s: it can't be told which file it is", path)
}
