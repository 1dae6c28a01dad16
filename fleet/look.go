package fleet

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"hotswap/internal/records"
	"hotswap/internal/statetag"
	"hotswap/internal/transfer"
	"hotswap/swapper"
)

// look finds out which version is live, by its content.
func (d *database) look(ctx context.Context) error {
	d.mu.Lock()
	doubts, foreign, under := d.doubts, d.foreign, d.orderID()
	d.mu.Unlock()
	if d.blamed != "" {
		under, d.blamed = d.blamed, ""
	}
	d.seen = stampOf(d.db.Path())
	d.phase(records.Looking)
	d.unsaid = nil
	live, err := d.read(ctx)
	if err != nil {
		return fmt.Errorf("look at the live database: %w", noRoom(err))
	}
	tag := live.tag
	if tag != d.tag { // these are of what was live then
		d.discard()
		d.before = nil
		d.settle()
	}
	d.steady()
	have, content := records.Having{}, ""
	switch {
	case !live.exists:
		content = "there is no database yet"
	case live.empty:
		content = "the live database has no tables"
	default:
		if have, content, err = d.identify(ctx, tag, foreign); err != nil {
			return err
		}
	}
	if now := d.current(); now.Have != have.Version || now.Tag != have.Tag {
		d.witnessed = false
	}
	d.tag, d.witnessed = tag, d.witnessed || have.InOrder
	d.mu.Lock()
	d.known = d.doubts == doubts
	d.foreign = d.foreign && !d.known
	if d.lost && d.lostUnder == "" && d.view.order != nil {
		d.lostUnder = d.view.order.ID
	}
	d.mu.Unlock()
	d.change(func(s *records.Database) {
		if s.Have != have.Version || s.Tag != have.Tag {
			s.Healthy = 0
		}
		s.Have, s.Tag, s.Content = have.Version, have.Tag, content
		d.noteWritten(under)
	})
	d.log.Info().Uint64("have", have.Version).Str("content", content).Msg("looked at the live database")
	return nil
}

// identify tells which version has a tag, and what is to be said of the content. If that is
// foreign, it was not written here, but put in the place of what the node had.
func (d *database) identify(ctx context.Context, tag string, foreign bool) (have records.Having, content string, err error) {
	last, err := d.lastSaid(ctx)
	if err != nil {
		return have, "", err
	}
	if last != nil && last.Tag == tag {
		return *last, "", nil
	}
	all, err := d.node.storeNow().Versions(ctx, d.channel)
	if err != nil && len(all) == 0 {
		return have, "", err
	}
	d.mu.Lock()
	order, lost := d.view.order, d.lost
	d.mu.Unlock()
	for _, p := range all { // the older ones first; several may have one content
		if p.Tag == tag && (have.Version == 0 || order == nil || p.Number <= order.Version) {
			have = records.Having{Version: p.Number, Tag: tag}
		}
	}
	switch {
	case have.Version != 0:
		d.writeDown(ctx, have)
		return have, "", nil
	case last == nil || last.Version == 0 || lost: // what a copy says was so before it was made
	case !foreign:
		return *last, d.writtenSince(last.Version), nil
	default:
		d.writeDown(ctx, have)
	}
	return have, "the live database is not a version of " + d.channel, nil
}

// writtenSince says of the live database that it is not that version any more.
func (d *database) writtenSince(number uint64) string {
	return fmt.Sprintf("the live database was written to since %s", d.version(number))
}

// liveNow is what a look at the live database tells.
type liveNow struct {
	exists, empty bool
	tag           string
}

// read looks at the live database without a copy, for which there may be no room.
func (d *database) read(ctx context.Context) (liveNow, error) {
	var dst looker
	exists, err := d.pull(ctx, &dst)
	return liveNow{exists, !exists || dst.empty, dst.tag}, err
}

// pull pulls the live database, if there is one.
func (d *database) pull(ctx context.Context, dst io.Writer) (exists bool, err error) {
	if info, err := os.Stat(d.db.Path()); err != nil || info.Size() == 0 {
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return false, nil
		}
		return false, err
	}
	_, err = swapper.Pull(ctx, d.db, dst, swapper.PullOptions{Dest: "the fleet"})
	if errors.Is(err, swapper.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// snapshot copies the live database, and tells its tag. The copy is nil if there is no file
// yet.
func (d *database) snapshot(ctx context.Context) (transfer.Held, string, error) {
	var dst holder
	if exists, err := d.pull(ctx, &dst); err != nil || !exists {
		return nil, "", err
	}
	tag, err := statetag.Of(ctx, dst.held, dst.held.Size())
	if err != nil {
		dst.held.Release()
		return nil, "", err
	}
	return dst.held, tag, nil
}

// holder takes over the copy that a pull has made, instead of having it written.
type holder struct{ held transfer.Held }

func (*holder) Write([]byte) (int, error) { return 0, errors.ErrUnsupported }
func (h *holder) Hold(held transfer.Held) { h.held = held }

// looker reads what it is told of the live database there.
type looker struct {
	tag   string
	empty bool
}

func (*looker) Write([]byte) (int, error) { return 0, errors.ErrUnsupported }

func (l *looker) Look(ctx context.Context, file io.ReaderAt, size int64) (err error) {
	l.empty = isEmpty(file)
	l.tag, err = statetag.Of(ctx, file, size)
	return err
}

// isEmpty reports whether a database has no schema: then the first page, which is the root of
// the schema's table, is a leaf without cells (https://www.sqlite.org/fileformat2.html).
func isEmpty(file io.ReaderAt) bool {
	var head [108]byte
	if _, err := file.ReadAt(head[:], 0); err != nil {
		return false
	}
	const leaf = 13
	return head[100] == leaf && binary.BigEndian.Uint16(head[103:]) == 0
}
