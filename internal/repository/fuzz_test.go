package repository

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"
)

func FuzzIndex(f *testing.F) {
	x := index{extents: 5, blocks: []ref{{name: name{1}}}, packs: []packRef{{ref{name: name{2}}, 4}, {ref{name: name{3}}, 2}}}
	x.setPlaces([]place{{0, 0}, {0, 1}, {1, 1}, {0, 3}, {1, 0}})
	raw, err := encoderOf(x)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw, 5)
	f.Add(raw[:len(raw)-1], 5)
	f.Add([]byte("hsindex1"), 0)
	x.dirs, x.packs[1].dir = []string{"fleet-x/catalog/2-9", "fleet-x/catalog/1-4"}, 1
	if raw, err = encoderOf(x); err != nil {
		f.Fatal(err)
	}
	f.Add(raw, 5)
	f.Fuzz(func(t *testing.T, raw []byte, n int) {
		n &= 0xfff
		x, err := parseIndex(encoder.EncodeAll(raw, nil), n, 4096)
		if err != nil {
			if !errors.Is(err, ErrIndex) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		places := x.places()
		if len(places) != n {
			t.Fatalf("%d places of %d extents", len(places), n)
		}
		for _, p := range places {
			if p.slot >= x.packs[p.pack].slots || x.packs[p.pack].slots > packExtents(4096) {
				t.Fatalf("slot %d of a pack of %d", p.slot, x.packs[p.pack].slots)
			}
		}
		again, err := parseIndex(x.encode(), n, 4096)
		if err != nil || !reflect.DeepEqual(again, x) {
			t.Fatalf("written and read again: %v", err)
		}
	})
}

// encoderOf is an index before it is compressed, so that the fuzzer changes what is read.
func encoderOf(x index) ([]byte, error) {
	z := decoders.Get().(interface {
		DecodeAll([]byte, []byte) ([]byte, error)
	})
	defer decoders.Put(z)
	return z.DecodeAll(x.encode(), nil)
}

func FuzzManifest(f *testing.F) {
	digest := "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	text, err := json.Marshal(Manifest{Format: 1, Version: Version{"catalog", 7}, Size: 8192, PageSize: 4096, Extent: 4096, SHA256: digest,
		Tag: digest[:32], Schema: digest, Parent: 6, Index: []string{digest}, Created: time.Unix(0, 0).UTC()})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"format":1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseManifest(text, Version{"catalog", 7})
		if err != nil {
			if !errors.Is(err, ErrManifest) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		if m.Number != 7 || m.layout().Check(m.Size) != nil || m.layout().Extents(m.Size) < 1 {
			t.Errorf("accepted %+v", m)
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseManifest(again, m.Version); err != nil {
			t.Errorf("written and read again: %v", err)
		}
	})
}

func FuzzVersion(f *testing.F) {
	f.Add("catalog@7")
	f.Add("a.b@1")
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ParseVersion(text)
		if err != nil {
			return
		}
		if v.String() != text {
			t.Errorf("%q is %s", text, v)
		}
		if back, ok := ofKey(v.key()); !ok || back != v {
			t.Errorf("%s has the key %s, which is of %v", v, v.key(), back)
		}
	})
}
