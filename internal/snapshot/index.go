package snapshot

import (
	"encoding/binary"
	"runtime"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// walIndex is the state of the write-ahead log that all connections agree on
// (https://www.sqlite.org/walformat.html#the_wal_index_header).
type walIndex struct {
	pageSize int64
	mxFrame  uint32 // the last frame that is committed
	pages    uint32 // the size of the database with it
	checksum [2]uint32
	salt     [8]byte
	// bigEndian is whether checksums are of words of that order.
	bigEndian bool
	backfill  uint32 // the last frame that is in the file, too
	// unchecked is set by tests that show what the checks are for.
	unchecked bool
}

// walIndexHead is how the wal-index begins: two equal headers, nBackfill, and 4 bytes.
type walIndexHead [2*indexHeader + 8]byte

// The offsets within one header, which is of the machine's own byte order but for
// the salts, and of what follows the two.
const (
	indexHeader      = 48
	indexVersion     = 3007000
	offsetInit       = 12
	offsetBigEndian  = 13
	offsetPageSize   = 14
	offsetMxFrame    = 16
	offsetPages      = 20
	offsetChecksum   = 24
	offsetSalt       = 32
	offsetHeaderSum  = 40
	offsetBackfill   = 2 * indexHeader
	indexPatience    = time.Second
	indexSpins       = 100
	indexSleep       = 50 * time.Microsecond
	walMagicLittle   = 0x377f0682
	walMagicBig      = walMagicLittle + 1
	walHeaderSize    = 32
	frameHeaderSize  = 24
	offsetWALVersion = 4
)

// readWALIndex reads it while others write it. What it returns was so at one moment:
// the header was the same before nBackfill was read and after.
func readWALIndex(c *sqlite3.SQLiteConn) (walIndex, error) {
	began := time.Now()
	for tries := 1; ; tries++ {
		before, err := readWALIndexHead(c)
		if err != nil {
			return walIndex{}, err
		}
		after, err := readWALIndexHead(c)
		if err != nil {
			return walIndex{}, err
		}
		if string(before[:offsetBackfill]) == string(after[:offsetBackfill]) {
			if x, ok := parseWALIndex(before); ok {
				return x, nil
			}
		}
		// Somebody is writing it, or died as it did, and the next one who begins a
		// transaction will see to that.
		if time.Since(began) > indexPatience {
			return walIndex{}, unable("the wal-index has no valid header")
		}
		if tries < indexSpins {
			runtime.Gosched()
		} else {
			time.Sleep(indexSleep)
		}
	}
}

func parseWALIndex(head walIndexHead) (x walIndex, ok bool) {
	h := head[:indexHeader]
	word := func(off int) uint32 { return binary.NativeEndian.Uint32(head[off:]) }
	if string(h) != string(head[indexHeader:2*indexHeader]) || h[offsetInit] == 0 || word(0) != indexVersion {
		return x, false
	}
	sum := [2]uint32{}
	for off := 0; off < offsetHeaderSum; off += 8 {
		sum[0] += word(off) + sum[1]
		sum[1] += word(off+4) + sum[0]
	}
	if sum != [2]uint32{word(offsetHeaderSum), word(offsetHeaderSum + 4)} {
		return x, false
	}
	size := int64(binary.NativeEndian.Uint16(h[offsetPageSize:]))
	x = walIndex{
		pageSize:  size&0xfe00 + size&1<<16,
		mxFrame:   word(offsetMxFrame),
		pages:     word(offsetPages),
		checksum:  [2]uint32{word(offsetChecksum), word(offsetChecksum + 4)},
		salt:      [8]byte(h[offsetSalt:]),
		bigEndian: h[offsetBigEndian] != 0,
		backfill:  word(offsetBackfill),
	}
	return x, true
}

// inFile reports whether all that is committed is in the main file.
func (x walIndex) inFile() bool { return x.mxFrame == 0 || x.backfill == x.mxFrame }
