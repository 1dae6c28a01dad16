package extents

import (
	"context"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Diff compares a file with another one, of which it is told the hashes.
type Diff struct {
	Layout
	mine       io.ReaderAt
	size       int64 // of mine
	theirs     int64 // the other one's size
	newer      int64 // the size of whichever is the newer one
	differ     Set   // extents of the newer file
	groups     []int // those that differ and have not been asked about, in their order
	asked      []int // those of the last question
	sampled    bool
	seen, same int     // extents that were compared, and of those the equal ones
	packed     float64 // bytes that an extent of the sample takes compressed
}

// NewDiff compares mine, of size bytes, with a file of theirs bytes. The newer of the
// two is theirs if theirsIsNewer is set.
func NewDiff(l Layout, mine io.ReaderAt, size, theirs int64, theirsIsNewer bool) *Diff {
	d := &Diff{Layout: l, mine: mine, size: size, theirs: theirs, newer: size}
	if theirsIsNewer {
		d.newer = theirs
	}
	d.differ = NewSet(l.Extents(d.newer))
	return d
}

const (
	// sample is how many groups are asked about before all that differ are.
	sample = 32
	// packs is how many extents of each group in it are compressed.
	packs = 4
	// Of ten extents in a sample, so many differ if comparing the rest takes more time
	// than it saves.
	most = 9
)

// Compare reads the hashes of the other file's groups. Of mine it reads what both have.
func (d *Diff) Compare(ctx context.Context, hashes io.Reader) error {
	g, common := 0, min(d.Groups(d.size), d.Groups(d.theirs))
	err := d.HashGroups(ctx, d.mine, d.size, common, func(own Hash) error {
		var theirs Hash
		if _, err := io.ReadFull(hashes, theirs[:]); err != nil {
			return fmt.Errorf("read the hash of group %d: %w", g, err)
		}
		if own != theirs {
			d.groups = append(d.groups, g)
		}
		g++
		return nil
	})
	if err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, hashes, int64(d.Groups(d.theirs)-common)*HashSize); err != nil {
		return fmt.Errorf("read the hashes of the groups: %w", err)
	}
	for i := common * GroupExtents; i < d.Extents(d.newer); i++ {
		d.differ.Add(i)
	}
	return nil
}

// Ask returns the groups of the other file whose extents' hashes Answer needs next. It
// is false when the set of what differs is complete.
func (d *Diff) Ask() (groups Set, more bool, err error) {
	switch {
	case len(d.groups) == 0:
		return Set{}, false, nil
	case !d.sampled && len(d.groups) > 2*sample:
		if err := d.takeSample(); err != nil {
			return Set{}, false, err
		}
	case d.sampled && !d.pays():
		for _, g := range d.groups {
			for i := range d.InGroup(g, d.newer) {
				d.differ.Add(g*GroupExtents + i)
			}
		}
		d.groups = nil
		return Set{}, false, nil
	default:
		d.asked, d.groups = d.groups, nil
	}
	d.sampled = true
	groups = NewSet(d.Groups(d.theirs))
	for _, g := range d.asked {
		groups.Add(g)
	}
	return groups, true, nil
}

// pays reports whether the hashes of more extents would be fewer bytes than those, once
// compressed, of the extents that they leave out. The hashes themselves do not compress;
// nor does much of what is before each run of a patch.
func (d *Diff) pays() bool {
	return (d.seen-d.same)*10 <= d.seen*most && float64(d.same)*d.packed > float64(d.seen*(HashSize+runSize))
}

// takeSample asks about groups at even distances, and finds out how well they compress.
func (d *Diff) takeSample() error {
	every := len(d.groups) / sample
	var rest []int
	for i, g := range d.groups {
		if i%every == 0 {
			d.asked = append(d.asked, g)
		} else {
			rest = append(rest, g)
		}
	}
	d.groups = rest
	return d.pack()
}

// pack compresses some of the extents of the sample.
func (d *Diff) pack() error {
	var took counter
	z, err := zstd.NewWriter(&took, zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	n := 0
	for _, g := range d.asked {
		off := int64(g) * GroupExtents * d.Extent
		length := min(packs*d.Extent, d.size-off)
		if _, err := io.Copy(z, io.NewSectionReader(d.mine, off, length)); err != nil {
			return readFailed(err, off)
		}
		n += d.Extents(length)
	}
	if err := z.Close(); err != nil {
		return err
	}
	d.packed = float64(took) / float64(n)
	return nil
}

// counter counts what is written to it.
type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// Answer reads the hashes of the extents of the groups that Ask returned.
func (d *Diff) Answer(ctx context.Context, hashes io.Reader) error {
	asked := NewSet(d.Groups(d.size))
	for _, g := range d.asked {
		asked.Add(g)
	}
	d.asked = nil
	theirs := make([]byte, GroupExtents*HashSize)
	return d.HashExtents(ctx, d.mine, d.size, asked, func(g int, own []byte) error {
		theirs := theirs[:d.InGroup(g, d.theirs)*HashSize]
		if _, err := io.ReadFull(hashes, theirs); err != nil {
			return fmt.Errorf("read the hashes of group %d: %w", g, err)
		}
		for i := range d.InGroup(g, d.newer) {
			at, end := i*HashSize, (i+1)*HashSize
			both := end <= len(own) && end <= len(theirs)
			if both {
				d.seen++
			}
			if both && string(own[at:end]) == string(theirs[at:end]) {
				d.same++
			} else {
				d.differ.Add(g*GroupExtents + i)
			}
		}
		return nil
	})
}

// Differing returns the extents of the newer file that differ from the older one's, once
// Ask has said that it is complete.
func (d *Diff) Differing() Set { return d.differ }
