package fleet

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"hotswap/internal/disk"
	"hotswap/internal/records"
	"hotswap/internal/transfer"
	"hotswap/swapper"
)

// wayBack is what it takes to go back from a version, had before that is swapped in: a disk
// that fills up is what a bad version may bring about. All of it is gone with the program.
type wayBack struct {
	copy  transfer.Held   // of what was live before: its room, with all or most of the content; kept until the rollout is done
	ready *swapper.Staged // that, once it was tried
	small *ballast        // for the swap; kept
}

// release gives up all but the ballast.
func (b *wayBack) release() {
	if b.copy != nil {
		b.copy.Release()
		b.copy = nil
	}
	if b.ready != nil {
		b.ready.Discard()
		b.ready = nil
	}
}

// taken reports whether there is no copy, or it has become something else.
func (b *wayBack) taken() bool {
	if b.copy == nil {
		return true
	}
	_, err := b.copy.ReadAt(make([]byte, 1), 0)
	return errors.Is(err, transfer.ErrNotHeld)
}

// newBack is a way back with nothing but a ballast that was not taken yet.
func newBack(path string) *wayBack {
	return &wayBack{small: &ballast{dir: filepath.Dir(path)}}
}

// setBack makes b the way back from what is live now.
func (d *database) setBack(b *wayBack) {
	d.back.release()
	d.back.small.give()
	d.back = b
	d.change(func(*records.Database) { d.holds = b.copy != nil })
}

// settle gives up what is not needed any more for what is live, or was before.
func (d *database) settle() {
	d.back.release()
	d.change(func(*records.Database) { d.holds = false })
}

// steady takes the ballast, if there is room.
func (d *database) steady() {
	if err := d.back.small.take(); err != nil {
		d.log.Warn().Err(err).Msg("if the disk stays full, no version can be swapped in")
	}
}

// again reads a backup that is to be live again. It takes the room of the way back, if that
// is there still, and else of that which is to stay free.
func (d *database) again(ctx context.Context, backup *os.File, size int64) (io.Reader, error) {
	if d.back.taken() {
		return sourceOf(backup, size, true), nil
	}
	d.back.small.give() // to write to a copy that shares its blocks takes some
	return over(ctx, d.back.copy, backup, size)
}

// ballast is room for the small files that a swap makes: the index of a WAL, say, or the file
// of orders. It is given up when the swap begins.
type ballast struct {
	dir  string
	file *os.File
}

// ballastSize is several times what SQLite makes beside a database in WAL mode, 32 KiB: XFS,
// say, makes no file without some hundred KiB in reserve. A small disk has less to give.
func ballastSize(dir string) int64 {
	_, stays, _ := disk.Space(dir)
	return max(128<<10, min(stays/16, 1<<20))
}

func (b *ballast) take() (err error) {
	if b.file == nil {
		b.file, err = nameless(b.dir, ballastSize(b.dir))
	}
	return err
}

func (b *ballast) give() {
	if b.file != nil {
		b.file.Truncate(0) // a file system may take its time over a file that is closed
		b.file.Close()
		b.file = nil
	}
}
