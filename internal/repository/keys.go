package repository

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Trust are the public keys of those whose versions are accepted. Without any, every
// version is, signed or not.
type Trust []ed25519.PublicKey

// verify checks a record's signature, over the very bytes of its manifest.
func (t Trust) verify(r record) error {
	if len(t) == 0 {
		return nil
	}
	if r.Key == "" || len(r.Signature) == 0 {
		return fmt.Errorf("%w: it is not signed", ErrUntrusted)
	}
	key, err := ParseKey(r.Key)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	if !slices.ContainsFunc(t, func(k ed25519.PublicKey) bool { return k.Equal(key) }) {
		return fmt.Errorf("%w: it is signed with %s, which is not among the trusted keys", ErrUntrusted, r.Key)
	}
	if !ed25519.Verify(key, signed(r.Manifest), r.Signature) {
		return fmt.Errorf("%w: its signature is not one of its manifest", ErrUntrusted)
	}
	return nil
}

// signed is what is signed of a manifest: the key may sign other things, too.
func signed(manifest []byte) []byte { return append([]byte("hotswap manifest\n"), manifest...) }

// sign adds a signature.
func (r *record) sign(key ed25519.PrivateKey) {
	if key == nil {
		return
	}
	r.Key = KeyText(key.Public().(ed25519.PublicKey))
	r.Signature = ed25519.Sign(key, signed(r.Manifest))
}

const keyPrefix = "ed25519:"

// KeyText is a public key as one word, as it goes into a configuration.
func KeyText(key ed25519.PublicKey) string {
	return keyPrefix + base64.RawURLEncoding.EncodeToString(key)
}

// ParseKey is the reverse of KeyText.
func ParseKey(text string) (ed25519.PublicKey, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(text), keyPrefix)
	key, err := base64.RawURLEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%.80q is not a public key, which begins with %s", text, keyPrefix)
	}
	return key, nil
}

// NewKey makes a pair of keys: the private one becomes the file path, which must not be
// there yet, in PEM, as `openssl genpkey -algorithm ed25519` writes it.
func NewKey(path string) (ed25519.PublicKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write the key: %w", err)
	}
	err = pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(path)
		return nil, fmt.Errorf("write the key: %w", err)
	}
	return public, nil
}

// ReadKey reads the file of a private key.
func ReadKey(path string) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s is not a private key in PEM", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s is not a private key: %w", path, err)
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s is a key of another sort (%T); make one with `hotswap fleet key`", path, key)
	}
	return private, nil
}
