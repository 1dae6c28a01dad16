// Package fileid tells files apart, whatever their names: by device and inode number
// and, since a file system gives the number of a removed file to the next one it
// creates, also by the file's birth time or the number's generation. Change time and
// size are ignored: they change when somebody writes, links or renames.
package fileid

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
