package repository

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"hotswap/internal/engine"
	"hotswap/internal/extents"
	"hotswap/internal/sqlitefile"
	"hotswap/internal/statetag"
)

// Manifest says all of a version. Its bytes are signed as they are.
type Manifest struct {
	Format int `json:"format"`
	Version
	Size     int64 `json:"size"`
	PageSize int64 `json:"page_size"`
	// Extent is the length of an extent in bytes, see package extents.
	Extent int64 `json:"extent"`
	// SHA256 is of the whole file, in hexadecimal.
	SHA256 string `json:"sha256"`
	// Tag names the content, as the tag of a pull does.
	Tag string `json:"tag"`
	// Schema is the digest of the database's schema.
	Schema string `json:"schema"`
	// Parent is the number of the version that it was made from, 0 for none.
	Parent uint64 `json:"parent,omitempty"`
	// Index are the names of the chunks that are the index, in their order.
	Index []string `json:"index"`
	// Objects says where in object storage the chunks are; nil if they are on the engine.
	Objects *Location `json:"objects,omitempty"`
	Message string    `json:"message,omitempty"`
	Who     string    `json:"who,omitempty"`
	Host    string    `json:"host,omitempty"`
	Created time.Time `json:"created"`
}

const manifestFormat = 1

// mostManifest bounds what is parsed: a terabyte's has less than 64 KiB.
const mostManifest = 256 << 10

// mostIndexChunks bounds the index of one version.
const mostIndexChunks = 2048

// ErrManifest: a manifest is damaged, or is not of the version under whose name it is kept.
var ErrManifest = errors.New("not a valid manifest")

// parseManifest reads the manifest of a version, which may have been written by anybody.
func parseManifest(text []byte, of Version) (m Manifest, err error) {
	if len(text) > mostManifest {
		return m, fmt.Errorf("%w: %d bytes are too many", ErrManifest, len(text))
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&m); err != nil {
		return m, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	if m.Format != manifestFormat {
		return m, fmt.Errorf("%w: its format is %d, and this hotswap knows %d: update it", ErrManifest, m.Format, manifestFormat)
	}
	if m.Version != of {
		return m, fmt.Errorf("%w: it is of %s, and is kept as %s", ErrManifest, m.Version, of)
	}
	return m, m.check()
}

func (m Manifest) check() error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrManifest, fmt.Sprintf(format, args...))
	}
	if err := engine.CheckName("channel", m.Channel); err != nil {
		return wrong("%v", err)
	}
	if err := m.layout().Check(m.Size); err != nil {
		return wrong("%v", err)
	}
	switch {
	case !(sqlitefile.Header{PageSize: m.PageSize}).ValidPageSize():
		return wrong("pages of %d bytes", m.PageSize)
	case m.Extent != extents.NewLayout(m.PageSize).Extent:
		return wrong("extents of %d bytes for pages of %d", m.Extent, m.PageSize)
	case m.Size < sqlitefile.HeaderSize:
		return wrong("a database of %d bytes", m.Size)
	case !isDigest(m.SHA256), !statetag.Valid(m.Tag), m.Schema != "" && !isDigest(m.Schema):
		return wrong("its digests are not digests")
	case m.Objects != nil && (m.Objects.URL == "" || !validDir(m.Objects.Dir)):
		return wrong("its chunks are in %q at %q", m.Objects.Dir, m.Objects.URL)
	case m.Parent >= m.Number:
		return wrong("its parent is %d", m.Parent)
	case len(m.Index) == 0 || len(m.Index) > mostIndexChunks:
		return wrong("an index of %d chunks", len(m.Index))
	}
	for _, name := range m.Index {
		if !isDigest(name) {
			return wrong("%q is not the name of a chunk", name)
		}
	}
	return nil
}

// dir is where in object storage the index is, "" on the engine.
func (m Manifest) dir() string {
	if m.Objects == nil {
		return ""
	}
	return m.Objects.Dir
}

func (m Manifest) layout() extents.Layout { return extents.Layout{Extent: m.Extent} }

// isDigest reports whether a text is a SHA-256 as this package writes it.
func isDigest(text string) bool {
	sum, err := hex.DecodeString(text)
	return err == nil && len(sum) == sha256.Size && hex.EncodeToString(sum) == text
}
