package records

import (
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"hotswap/internal/rollout"
	"hotswap/internal/trust"
)

func newKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func public(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

func TestAnOrderIsOneOfItsChannelAndKeyAlone(t *testing.T) {
	r, _ := open(t)
	ours, theirs := newKey(t), newKey(t)
	signing := r.SignedWith(ours)
	o := rollout.Order{ID: "a", Channel: "catalog", Version: 1, Message: "<&>\u2028\x00 'ü"}
	if _, err := signing.SetOrder(t.Context(), o, Entry{}); err != nil {
		t.Fatal(err)
	}
	if _, err := signing.SetPin(t.Context(), "catalog", "web-1", rollout.Pin{Version: 2}, Entry{}); err != nil {
		t.Fatal(err)
	}
	_, entry, err := r.Order(t.Context(), "catalog")
	if err != nil {
		t.Fatal(err)
	}
	_, pin, err := r.Pin(t.Context(), "catalog", "web-1")
	if err != nil {
		t.Fatal(err)
	}
	trusted := trust.Keys{public(newKey(t)), public(ours)}
	if got, err := entry.Sealed.Order(trusted, "catalog"); err != nil || got.Message != o.Message {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := pin.Sealed.Pin(trusted, "catalog", "web-1"); err != nil || got.Version != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	// The pin's text says that it is one of the channel; as an order it is not signed.
	if _, err := pin.Sealed.Order(trusted, "catalog"); !errors.Is(err, trust.ErrUntrusted) {
		t.Errorf("a pin is taken for an order: %v", err)
	}
	if _, err := entry.Sealed.Order(trust.Keys{public(theirs)}, "catalog"); !errors.Is(err, trust.ErrUntrusted) {
		t.Errorf("who is not trusted orders: %v", err)
	}
	if _, err := entry.Sealed.Order(trusted, "prices"); !errors.Is(err, ErrDamaged) {
		t.Errorf("an order of another channel: %v", err)
	}
	if _, err := pin.Sealed.Pin(trusted, "catalog", "web-2"); !errors.Is(err, ErrDamaged) {
		t.Errorf("a pin of another node: %v", err)
	}
}

func TestASerialIsAboveThoseBefore(t *testing.T) {
	r, _ := open(t)
	at := func(serial uint64) Entry {
		s, err := seal(nil, orderKind, rollout.Order{Serial: serial})
		if err != nil {
			t.Fatal(err)
		}
		return Entry{Sealed: s}
	}
	now := uint64(time.Now().UnixMilli())
	minute, day := uint64(time.Minute.Milliseconds()), uint64(24*time.Hour.Milliseconds())
	for _, test := range []struct{ before, least, most uint64 }{
		{0, now, now + minute},
		{now - day, now, now + minute},
		{now + minute, now + minute + 1, now + minute + 1}, // of a clock that is ahead
		{now + day, now, now + minute},
		{1<<64 - 1, now, now + minute},
	} {
		if got := at(test.before).next(); got < test.least || got > test.most {
			t.Errorf("after %d comes %d", test.before, got)
		}
	}
	trusted := at(now + day) // of a clock that was wrong
	trusted.Trusted = true
	if got := trusted.next(); got != now+day+1 {
		t.Errorf("after a trusted %d comes %d", now+day, got)
	}
	entry, err := r.SetOrder(t.Context(), rollout.Order{ID: "a", Channel: "catalog", Version: 1}, Entry{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.SetOrder(t.Context(), rollout.Order{ID: "b", Channel: "catalog", Version: 2}, entry); err != nil {
		t.Fatal(err)
	}
	o, read, err := r.Order(t.Context(), "catalog")
	if err != nil || o.Serial <= entry.serial() || o.After != entry.serial() {
		t.Fatalf("after %d: %+v, %v", entry.serial(), o, err)
	}
	read.Afresh = true
	if _, err := r.SetOrder(t.Context(), rollout.Order{ID: "c", Channel: "catalog", Version: 3}, read); err != nil {
		t.Fatal(err)
	}
	if afresh, _, err := r.Order(t.Context(), "catalog"); err != nil || afresh.After != 0 || afresh.Serial <= o.Serial {
		t.Errorf("afresh: %+v, %v", afresh, err)
	}
}
