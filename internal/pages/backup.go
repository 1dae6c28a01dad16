package pages

/*
#cgo darwin LDFLAGS: -Wl,-undefined,dynamic_lookup

#include <stdint.h>

// Declared here rather than included, since with -tags libsqlite3 there may be no
// header; and weak, as this package is first linked by itself.
typedef unsigned long long sqlite3_uint64;
extern sqlite3_uint64 sqlite3_msize(void *) __attribute__((weak));

// hotswap_words returns of how many words the memory of a backup is.
static int hotswap_words(void *p) {
	if (!sqlite3_msize)
		return 0;
	return (int)(sqlite3_msize(p) / sizeof(uint32_t));
}
*/
import "C"

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"unsafe"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// ErrLost: a backup is not at the page where it must be. Whatever it has written is to
// be rolled back, by [Backup.Close].
var ErrLost = errors.New("the backup is not at the page that it was told to go on with")

// Backup writes the main database of one connection over that of another. It is for one
// goroutine.
type Backup struct {
	*sqlite3.SQLiteBackup
	words []uint32 // the memory of SQLite's own; nil if it is not to be had
	// counted are those that have counted the pages so far, and next is the one that
	// does; nil until it is found, and if it is not.
	counted []int
	next    *uint32
}

// NewBackup begins a backup. Nothing is locked yet.
func NewBackup(dst, src *sqlite3.SQLiteConn) (*Backup, error) {
	b, err := dst.Backup("main", src, "main")
	if err != nil {
		return nil, err
	}
	return &Backup{SQLiteBackup: b, words: wordsOf(b)}, nil
}

// wordsOf returns the memory that SQLite has for a backup.
func wordsOf(b *sqlite3.SQLiteBackup) []uint32 {
	p := reflect.ValueOf(b).Elem().FieldByName("b")
	if !p.IsValid() || p.Kind() != reflect.Pointer || p.IsNil() {
		return nil
	}
	n := int(C.hotswap_words(p.UnsafePointer()))
	const most = 1024 // more than any version's
	if n <= 0 || n > most {
		return nil
	}
	return unsafe.Slice((*uint32)(p.UnsafePointer()), n)
}

// Step copies the next so many pages, or with a diff those of them that differ, and
// passes over the ones that don't. It is done once that was all and is committed. A step
// that SQLite kept from its work copies nothing, and may be tried again. committing is
// called before a step that may commit.
func (b *Backup) Step(pages int, diff *Diff, committing func()) (done bool, err error) {
	total := b.PageCount()
	at := total - b.Remaining() + 1 // the next page
	if b.next == nil || diff == nil || len(diff.differs) != total {
		if diff != nil && at <= 2 {
			return b.learn(committing)
		}
		if at+pages > total {
			committing()
		}
		return b.SQLiteBackup.Step(pages)
	}
	first, n := diff.run(at, pages)
	if first+n > total {
		committing()
	}
	*b.next = uint32(first)
	done, err = b.SQLiteBackup.Step(n)
	if err != nil || done {
		return done, err
	}
	switch left := b.Remaining(); left {
	case total + 1 - first - n:
	case total + 1 - at: // it was kept from it
		*b.next = uint32(at)
	default:
		return false, fmt.Errorf("%w: %d pages of %d are left after page %d", ErrLost, left, total, first+n-1)
	}
	return false, nil
}

// learn copies the first page or the second one, and finds the counter by that.
func (b *Backup) learn(committing func()) (done bool, err error) {
	at := uint32(b.PageCount() - b.Remaining() + 1)
	if int(at) == b.PageCount() {
		committing()
	}
	before := slices.Clone(b.words)
	done, err = b.SQLiteBackup.Step(1)
	if done || err != nil || b.PageCount()-b.Remaining() != int(at) {
		b.words = nil // it was kept from it: there is no other try
		return done, err
	}
	var counted []int
	for i, was := range before {
		if was == at && b.words[i] == at+1 && (at == 1 || slices.Contains(b.counted, i)) {
			counted = append(counted, i)
		}
	}
	if b.counted = counted; at == 2 && len(counted) == 1 {
		b.next = &b.words[counted[0]]
	}
	return false, nil
}
