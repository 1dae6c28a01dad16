package sockserver

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
)

// The digest of a body is an RFC 9530 field, in the trailer, where a sender
// that streams can know it.
const (
	headerDigest = "Content-Digest"
	digestSHA256 = "sha-256"
)

// formatDigest writes the field's value for a SHA-256.
func formatDigest(sum []byte) string {
	return digestSHA256 + "=:" + base64.StdEncoding.EncodeToString(sum) + ":"
}

// formatHexDigest is formatDigest of a sum in hexadecimal.
func formatHexDigest(sum string) (string, error) {
	raw, err := hex.DecodeString(sum)
	if err != nil {
		return "", fmt.Errorf("read the digest %q: %w", sum, err)
	}
	return formatDigest(raw), nil
}

// parseDigest finds the SHA-256 in a header or a trailer. It is nil if the
// field is absent; a field without a SHA-256 that can be read is an error,
// since its sender counts on a check.
func parseDigest(h http.Header) ([]byte, error) {
	values := h.Values(headerDigest)
	if len(values) == 0 {
		return nil, nil
	}
	for member := range strings.SplitSeq(strings.Join(values, ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(member), "=")
		if name != digestSHA256 {
			continue
		}
		inner, found := strings.CutPrefix(value, ":")
		inner, closed := strings.CutSuffix(inner, ":")
		sum, err := base64.StdEncoding.DecodeString(inner)
		if !found || !closed || err != nil || len(sum) != 32 {
			return nil, fmt.Errorf("%s: %q is not a SHA-256 between colons", headerDigest, member)
		}
		return sum, nil
	}
	return nil, fmt.Errorf("%s: %q has no %s", headerDigest, strings.Join(values, ", "), digestSHA256)
}
