package sockserver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"time"

	"hotswap/internal/fdpass"
	"hotswap/swapper"
)

// ErrIncomplete: a snapshot broke off, or what arrived is not what was sent.
var ErrIncomplete = errors.New("the snapshot is incomplete")

// SnapshotParams are the options of [Client.Snapshot].
type SnapshotParams struct {
	// ID identifies the command in status lines and in the log; empty for a new
	// one. See [NewID].
	ID string
	// Dest names the destination in the log and in the report.
	Dest string
	// Digest is as in PushParams.
	Digest bool
	// Tag has the report name the content that was copied, for PushParams.IfMatch, as
	// [swapper.PullOptions] does. The server reads all of it for that.
	Tag bool
	// Check has the copy checked before it is sent; Quick and
	// SkipConstraintCheck say how, as in [swapper.PullOptions].
	Check, Quick, SkipConstraintCheck bool
	// Base, if set, is an older copy of the database, to which nobody writes: of a server
	// elsewhere (ClientConfig.Dial), only what differs from it is asked for.
	Base *os.File
	// Whole has the whole database sent, as it is. A server elsewhere otherwise sends what
	// differs from Base, or everything compressed.
	Whole bool
	// Begin, if set, is called before the first byte is written, with the size
	// in bytes, or 0 if it is not known.
	Begin func(size int64)
}

// setNames sets what names the command and its destination.
func (p SnapshotParams) setNames(query url.Values) {
	for name, value := range map[string]string{paramID: p.ID, paramDest: p.Dest} {
		if value != "" {
			query.Set(name, value)
		}
	}
}

// setTag sets that the tag is not to be computed, unless it is wanted.
func (p SnapshotParams) setTag(query url.Values) {
	if !p.Tag {
		query.Set(paramTag, "0")
	}
}

// setCheck sets how the copy is to be checked.
func (p SnapshotParams) setCheck(query url.Values) {
	for name, value := range map[string]bool{paramCheck: p.Check, paramQuick: p.Quick, paramSkipConstraintCheck: p.SkipConstraintCheck} {
		if value {
			query.Set(name, "1")
		}
	}
}

// Snapshot writes a consistent copy of the database at path, an absolute path or
// [TheDatabase], to dst. The copy is complete only if the error is nil: what
// arrived then has the digest that the server sent after it.
//
// If dst is an *os.File, of an empty regular file or of a pipe, it is passed to the
// server, which fills it, if both ends are on Linux; a file's offset is at its end then.
// There is a digest only if params asks for it then, and it is the server's.
func (c *Client) Snapshot(ctx context.Context, path string, dst io.Writer, params SnapshotParams) (swapper.Report, error) {
	var file *os.File
	if c.near {
		file = fdpass.Dest(dst)
	} else if !params.Whole {
		if report, err := c.pullDifference(ctx, path, dst, params); err != errWhole {
			return report, err
		}
	}
	report, err := c.snapshot(ctx, path, dst, file, params)
	for began := time.Now(); idInUse(err) && time.Since(began) < idPatience; {
		// The server has not noticed yet that the answer with the difference was given up.
		select {
		case <-time.After(idPatience / 100):
		case <-ctx.Done():
			return report, context.Cause(ctx)
		}
		report, err = c.snapshot(ctx, path, dst, file, params)
	}
	if takesNoPipe(err, file) {
		return c.snapshot(ctx, path, dst, nil, params)
	}
	return report, err
}

// idPatience is how long a server may take to notice that a client has hung up.
const idPatience = 5 * time.Second

// idInUse reports whether the server is still at another command of the same id.
func idInUse(err error) bool {
	p, ok := errors.AsType[*Problem](err)
	return ok && p.Type == ProblemIDInUse
}

// snapshot passes file, unless it is nil.
func (c *Client) snapshot(ctx context.Context, path string, dst io.Writer, file *os.File, params SnapshotParams) (swapper.Report, error) {
	query := url.Values{paramPath: {path}}
	params.setNames(query)
	params.setCheck(query)
	params.setTag(query)
	if params.Digest {
		query.Set(paramDigest, "1")
	}
	req, err := newRequest(ctx, http.MethodGet, "/v1/snapshot", query, nil)
	if err != nil {
		return swapper.Report{}, err
	}
	client := c.commands
	if file != nil {
		client = httpClient(c.socket, func(ctx context.Context, socket string) (net.Conn, error) {
			conn, err := c.dial(ctx, socket)
			if err != nil {
				return nil, err
			}
			return fdpass.NewSender(conn.(*net.UnixConn), file, nil), nil
		})
		defer client.CloseIdleConnections()
		req.Header.Set(headerDescriptor, descriptorDest)
	}
	res, err := send(client, req)
	if err != nil {
		return swapper.Report{}, c.explain(ctx, "/v1/snapshot", err)
	}
	defer res.Body.Close()
	size, err := strconv.ParseInt(res.Header.Get(headerSize), 10, 64)
	if err != nil {
		size = 0
	}
	if params.Begin != nil {
		params.Begin(size)
	}
	elsewhere := file != nil && res.Header.Get(headerDescriptor) == descriptorFilled
	sum, n, err := receive(ctx, dst, res.Body, size)
	if elsewhere && errors.Is(err, ErrIncomplete) && fdpass.IsPipe(file) && fdpass.Unread(file) {
		// What writing to it would have returned here.
		err = &os.PathError{Op: "write", Path: file.Name(), Err: syscall.EPIPE}
	}
	if err != nil {
		return swapper.Report{Bytes: n}, err
	}
	if elsewhere {
		return filled(res, file, size)
	}
	if err := checkSnapshot(res.Trailer, sum, n, size); err != nil {
		return swapper.Report{Bytes: n}, err
	}
	report := swapper.Report{Source: path, Target: params.Dest, Bytes: n, SHA256: hex.EncodeToString(sum)}
	if encoded := res.Trailer.Get(trailerReport); encoded != "" {
		if err := json.Unmarshal([]byte(encoded), &report); err != nil {
			return report, fmt.Errorf("%w: read the report: %w", ErrIncomplete, err)
		}
	}
	return report, nil
}

// filled ends a snapshot that the server wrote to the file itself. That its
// report came says that it is complete; a digest in it is the server's, since
// reading it all again would take longer than the copying.
func filled(res *http.Response, file *os.File, size int64) (report swapper.Report, err error) {
	n := size // of a pipe it is the server that knows
	if !fdpass.IsPipe(file) {
		if n, err = file.Seek(0, io.SeekEnd); err != nil {
			return report, err
		}
	}
	encoded := res.Trailer.Get(trailerReport)
	if encoded == "" {
		return swapper.Report{Bytes: n}, fmt.Errorf("%w: its report is missing", ErrIncomplete)
	}
	if err := json.Unmarshal([]byte(encoded), &report); err != nil {
		return report, fmt.Errorf("%w: read the report: %w", ErrIncomplete, err)
	}
	if n != size || n != report.Bytes {
		return report, fmt.Errorf("%w: %d bytes were announced, but the file has %d", ErrIncomplete, size, n)
	}
	return report, nil
}

// receive copies src to dst, and tells whose error it was that ended it.
// A source that has more than size, if that is known, need not have an end.
func receive(ctx context.Context, dst io.Writer, src io.Reader, size int64) (sum []byte, n int64, err error) {
	hash := sha256.New()
	buffer := make([]byte, transferBuffer)
	for {
		got, err := src.Read(buffer)
		hash.Write(buffer[:got])
		if got > 0 {
			if _, err := dst.Write(buffer[:got]); err != nil {
				return nil, n, err
			}
			n += int64(got)
		}
		if size > 0 && n > size {
			return nil, n, fmt.Errorf("%w: %d bytes were announced, and more came", ErrIncomplete, size)
		}
		switch {
		case err == io.EOF:
			return hash.Sum(nil), n, nil
		case err != nil && ctx.Err() != nil:
			return nil, n, context.Cause(ctx)
		case err != nil:
			return nil, n, fmt.Errorf("%w: the server broke off after %d bytes; its log says why: %w", ErrIncomplete, n, err)
		}
	}
}

func checkSnapshot(trailer http.Header, sum []byte, n, size int64) error {
	want, err := parseDigest(trailer)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrIncomplete, err)
	case want == nil:
		return fmt.Errorf("%w: %d bytes came without a digest after them", ErrIncomplete, n)
	case !bytes.Equal(want, sum):
		return fmt.Errorf("%w: its digest is %s, but the received bytes have %s", ErrIncomplete, formatDigest(want), formatDigest(sum))
	case size > 0 && size != n:
		return fmt.Errorf("%w: %d bytes were announced, but %d came", ErrIncomplete, size, n)
	default:
		return nil
	}
}
