package engine_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"hotswap/internal/engine"
	"hotswap/internal/engine/enginetest"
)

// certificate is one for this machine, and the file of who vouches for it: itself.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true}
	text, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: text}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{text}, PrivateKey: key}, path
}

// TestOverTLS: a patient connection dials in its own way.
func TestOverTLS(t *testing.T) {
	cert, ca := certificate(t)
	url := plain(t, func(o *server.Options) { o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}} })
	for _, patient := range []bool{false, true} {
		e := enginetest.Connect(t, engine.Config{URL: url, TLS: engine.TLS{CA: ca}, Patient: patient})
		if err := e.Setup(t.Context()); err != nil {
			t.Errorf("patient %v: %v", patient, err)
		}
		if _, err := e.Conn().TLSConnectionState(); err != nil {
			t.Errorf("patient %v: %v", patient, err)
		}
	}
}
