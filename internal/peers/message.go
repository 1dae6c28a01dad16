package peers

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Version is that of the wire.
const Version = 1

// Op names a message. docs/peers.md says who sends which, and when.
type Op string

// The questions, and what is said without being asked for an answer.
const (
	Join   Op = "join"
	Status Op = "status"
	Shut   Op = "shut"
	Filter Op = "filter"
	Open   Op = "open"
	Force  Op = "force"
	Hush   Op = "hush"
	Close  Op = "close"
	Thaw   Op = "thaw"
	Still  Op = "still"
)

// The answers.
const (
	No      Op = "no"
	Joined  Op = "joined"
	State   Op = "state"
	Drained Op = "drained"
	Held    Op = "held"
	Ready   Op = "ready"
	Rested  Op = "rested"
	Hushed  Op = "hushed"
	Closed  Op = "closed"
	Busy    Op = "busy"
	Thawed  Op = "thawed"
	Told    Op = "told"
)

// Inode names a file as long as it exists.
type Inode struct {
	Dev uint64 `json:"dev"`
	Ino uint64 `json:"ino"`
}

// Holder is one thing that a peer's program holds.
type Holder struct {
	Kind  string        `json:"kind"`
	Query string        `json:"query"`
	For   time.Duration `json:"for_ns"`
	Tx    bool          `json:"tx,omitempty"`
}

// Message is one line. Which fields it has depends on its Op.
type Message struct {
	V  int    `json:"v,omitempty"`
	Op Op     `json:"op"`
	N  uint64 `json:"n,omitempty"`

	File        Inode           `json:"file,omitzero"`
	Dir         Inode           `json:"dir,omitzero"`
	Base        []byte          `json:"base,omitempty"` // a name need not be valid UTF-8
	Mount       bool            `json:"mount,omitempty"`
	PID         int             `json:"pid,omitempty"`
	Program     string          `json:"program,omitempty"`
	Why         string          `json:"why,omitempty"`
	For         time.Duration   `json:"for_ns,omitempty"`
	InPlace     bool            `json:"in_place,omitempty"`
	Adopts      bool            `json:"adopts,omitempty"`
	Long        bool            `json:"long,omitempty"`
	Swapped     bool            `json:"swapped,omitempty"`
	Forgive     bool            `json:"forgive,omitempty"`
	Connections int             `json:"connections,omitempty"`
	Pause       time.Duration   `json:"pause_ns,omitempty"`
	Generation  uint64          `json:"generation,omitempty"`
	Holders     []Holder        `json:"holders,omitempty"`
	Stats       json.RawMessage `json:"stats,omitempty"`
}

const (
	maxLine    = 64 << 10
	maxHolders = 32
	maxText    = 1000 // bytes of a query, or of another text
)

// encode makes the line, its texts and lists cut to what one may have.
func (m Message) encode() ([]byte, error) {
	for _, text := range []*string{&m.Program, &m.Why} {
		*text = clip(*text)
	}
	holders := make([]Holder, min(len(m.Holders), maxHolders))
	for i := range holders {
		holders[i] = m.Holders[i]
		holders[i].Query = clip(holders[i].Query)
	}
	m.Holders = holders
	line, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	if len(line) >= maxLine { // control characters, sixfold
		for i := range m.Holders {
			m.Holders[i].Query = ""
		}
		if line, err = json.Marshal(m); err != nil || len(line) >= maxLine {
			return nil, fmt.Errorf("a message of %d bytes is too long", len(line))
		}
	}
	return append(line, '\n'), nil
}

// decode reads a line, and refuses what no peer would send.
func decode(line []byte) (m Message, err error) {
	if err := json.Unmarshal(line, &m); err != nil {
		return Message{}, err
	}
	switch {
	case m.Op == "":
		return Message{}, fmt.Errorf("a message without op")
	case m.For < 0, m.Pause < 0, m.Connections < 0, m.PID < 0:
		return Message{}, fmt.Errorf("a %q with a negative number", clip(string(m.Op)))
	case len(m.Holders) > maxHolders:
		return Message{}, fmt.Errorf("a %q with %d holders", clip(string(m.Op)), len(m.Holders))
	}
	for i := range m.Holders {
		if h := &m.Holders[i]; h.For < 0 || len(h.Kind) > maxText {
			return Message{}, fmt.Errorf("a %q with an invalid holder", clip(string(m.Op)))
		}
	}
	return m, nil
}

// clip cuts a text to maxText bytes of whole, valid characters.
func clip(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
		for len(s) > 0 && !utf8.RuneStart(s[len(s)-1]) {
			s = s[:len(s)-1]
		}
		if r, n := utf8.DecodeLastRuneInString(s); r == utf8.RuneError && n == 1 {
			s = s[:len(s)-1]
		}
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
