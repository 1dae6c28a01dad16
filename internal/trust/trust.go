// Package trust signs texts with Ed25519, and tells those that are signed by a key that is
// trusted: the manifests of versions, orders and pins.
package trust

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
)

// ErrUntrusted: something is not signed by a key that is trusted.
var ErrUntrusted = errors.New("not trusted")

// Keys are the public keys that are trusted. Without any, everything is, signed or not.
type Keys []ed25519.PublicKey

// Seal is the signature of a text, and the public key that it is of.
type Seal struct {
	Key       string `json:"key,omitempty"` // see Text
	Signature []byte `json:"signature,omitempty"`
}

// Signed reports whether there is a signature, be it right or wrong.
func (s Seal) Signed() bool { return len(s.Signature) > 0 }

// Sign signs a text with a private key; with none, the seal is empty. kind says what the text
// is, so that one signed as a pin, say, is not an order.
func Sign(key ed25519.PrivateKey, kind string, text []byte) Seal {
	if key == nil {
		return Seal{}
	}
	return Seal{Text(key.Public().(ed25519.PublicKey)), ed25519.Sign(key, signed(kind, text))}
}

// Verify checks the seal of a text.
func (k Keys) Verify(kind string, text []byte, seal Seal) error {
	if len(k) == 0 {
		return nil
	}
	if seal.Key == "" || len(seal.Signature) == 0 {
		return fmt.Errorf("%w: it is not signed", ErrUntrusted)
	}
	key, err := Parse(seal.Key)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	if !slices.ContainsFunc(k, func(trusted ed25519.PublicKey) bool { return trusted.Equal(key) }) {
		return fmt.Errorf("%w: it is signed with %s, which is not among the trusted keys", ErrUntrusted, seal.Key)
	}
	if !ed25519.Verify(key, signed(kind, text), seal.Signature) {
		return fmt.Errorf("%w: its signature is not one of this %s", ErrUntrusted, kind)
	}
	return nil
}

// signed is what is signed of a text.
func signed(kind string, text []byte) []byte { return append([]byte("hotswap "+kind+"\n"), text...) }
