// Package fileid tells files apart, whatever their names: by device and inode
// number, and since a file system gives the number of a removed file to the next
// one it makes, by the time the file was made or the number's generation, too.
// The time of change and the size are not looked at: those move when somebody
// writes, links or renames.
package fileid

// ID names a file. The zero value names none. IDs of one process may be
// compared with ==.
type ID struct {
	Dev, Ino uint64
	// made is a hash of the file's birth time and of its handle, which has the
	// inode's generation, as far as the system tells them.
	made uint64
}

// None is the ID of no file.
var None ID
