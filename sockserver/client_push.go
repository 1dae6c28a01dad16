package sockserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"os"
	"strconv"
	"time"

	"hotswap/internal/fdpass"
	"hotswap/swapper"
)

// noExpectTimeout is how long a push that passed a descriptor waits to be asked
// for its body: for ever, since a server that took the descriptor asks for none.
const noExpectTimeout = math.MaxInt64

// PushParams are the options of [Client.Push]. Those without a comment are as in
// [swapper.PushOptions].
type PushParams struct {
	// ID identifies the command in status lines and in the log; empty for a new
	// one. See [NewID].
	ID string
	// Source names the source in the log and in the report.
	Source string
	// Size is the number of bytes that src will yield, or 0 if it is not known.
	Size int64

	SkipIntegrityCheck  bool
	SkipConstraintCheck bool
	SkipSchemaCheck     bool
	SkipRehearsal       bool
	Quick               bool
	Force               bool
	Backup              bool
	BackupAs            swapper.BackupNames
	Keep                int
	NoBackup            bool // although the program's Config.Keep would have one
	DryRun              bool
	// Method is swapper.MethodAuto if empty.
	Method swapper.Method

	// IfChanged is the SHA-256 of what src will yield, in lower-case
	// hexadecimal. If the last push to the database had the same one, and
	// nothing has been written to it since, src is not read, and
	// Report.Unchanged is set.
	IfChanged string
	// IfMatch is as in swapper.PushOptions: a tag that a snapshot's Report has.
	IfMatch string
	// Digest sends a SHA-256 after the body, for the server to compare, and has
	// it in the report even if the integrity check is skipped or quick. That
	// takes longer than the rest of the transfer. A truncated body is noticed
	// without it.
	Digest bool
	// Timeout and MaxPause are the server's settings if 0.
	Timeout  time.Duration
	MaxPause time.Duration

	// Whole sends the whole database, as it is. A server elsewhere (ClientConfig.Dial) is
	// otherwise sent what differs from the live one, if src is a regular file at its
	// beginning, or carries one; or else everything, compressed.
	Whole bool

	held     string // the snapshot that what is sent is based on; "" for none
	encoding string // of the body; "" for none
}

func (p PushParams) query(path string) url.Values {
	q := url.Values{}
	for name, value := range map[string]string{
		paramPath: path, paramID: p.ID, paramSource: p.Source, paramMethod: string(p.Method), paramIfChanged: p.IfChanged, paramIfMatch: p.IfMatch,
		paramHeld: p.held,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	for name, value := range map[string]bool{
		paramSkipIntegrityCheck:  p.SkipIntegrityCheck,
		paramSkipConstraintCheck: p.SkipConstraintCheck,
		paramSkipSchemaCheck:     p.SkipSchemaCheck,
		paramSkipRehearsal:       p.SkipRehearsal,
		paramQuick:               p.Quick,
		paramForce:               p.Force,
		paramBackup:              p.Backup,
		paramDryRun:              p.DryRun,
		paramDigest:              p.Digest || p.IfChanged != "",
	} {
		if value {
			q.Set(name, "1")
		}
	}
	if p.Method == swapper.MethodAuto {
		q.Del(paramMethod) // the default; a server that knows of no methods need not be asked
	}
	for name, value := range map[string]time.Duration{paramTimeout: p.Timeout, paramMaxPause: p.MaxPause} {
		if value != 0 {
			q.Set(name, value.String())
		}
	}
	if p.BackupAs != "" {
		q.Set(paramBackup, string(p.BackupAs))
	}
	if p.NoBackup {
		q.Set(paramBackup, "0")
	}
	if p.Keep > 0 {
		q.Set(paramKeep, strconv.Itoa(p.Keep))
	}
	if p.Size > 0 {
		q.Set(paramSize, strconv.FormatInt(p.Size, 10))
	}
	return q
}

// Push replaces the database at path, an absolute path or [TheDatabase], with
// what src yields until io.EOF. An error of src aborts the push.
//
// If src is an *os.File, of a regular file at its beginning or of a pipe, it is passed
// to the server, which copies the file, or reads the pipe to its end, if both ends are on
// Linux; this process then does not read src, and a file keeps its offset.
//
// The report is what the server reported. After an error the live database is
// unchanged, unless the error wraps [swapper.ErrOutcomeUnknown] or
// report.Swapped is set. src may be in a last Read when Push returns, and is not
// used after that.
func (c *Client) Push(ctx context.Context, path string, src io.Reader, params PushParams) (swapper.Report, error) {
	var file *os.File
	if c.near {
		file = fdpass.Source(src)
	} else if !params.Whole {
		if report, err := c.pushDifference(ctx, path, src, params); err != errWhole {
			return report, err
		}
		return c.pushCompressed(ctx, path, src, params)
	}
	report, err := c.push(ctx, path, src, file, params)
	if takesNoPipe(err, file) {
		return c.push(ctx, path, src, nil, params)
	}
	return report, err
}

// takesNoPipe reports whether a server, an older one, has refused a pipe's descriptor,
// and so has not touched it.
func takesNoPipe(err error, file *os.File) bool {
	p, ok := errors.AsType[*Problem](err)
	return ok && p.Type == ProblemDescriptor && file != nil && fdpass.IsPipe(file)
}

// push passes file, unless it is nil.
func (c *Client) push(ctx context.Context, path string, src io.Reader, file *os.File, params PushParams) (swapper.Report, error) {
	body := newPushBody(ctx, src, params.Digest)
	defer body.Close()
	var phase heardPhase
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(_ int, header textproto.MIMEHeader) error {
		if told := header.Get(headerPhase); told != "" {
			phase.Store(&told)
		}
		return nil
	}})
	req, err := newRequest(ctx, http.MethodPut, "/v1/database", params.query(path), body)
	if err != nil {
		return swapper.Report{}, err
	}
	req.Header.Set("Content-Type", databaseMediaType)
	if params.encoding != "" {
		req.Header.Set(headerEncoding, params.encoding)
	}
	req.Header.Set("Expect", "100-continue")
	req.ContentLength, req.Trailer = -1, body.trailer

	client := httpClient(c.socket, func(ctx context.Context, socket string) (net.Conn, error) {
		conn, err := c.dial(ctx, socket)
		if err != nil {
			return nil, err
		}
		if file != nil {
			conn = fdpass.NewSender(conn.(*net.UnixConn), file, body.passed)
		}
		return newPushConn(conn, body.abandon), nil
	})
	defer client.CloseIdleConnections()
	if file != nil {
		req.Header.Set(headerDescriptor, descriptorSource)
		req.Header.Set(headerPhase, "tell")
		client.Transport.(*http.Transport).ExpectContinueTimeout = noExpectTimeout
	}
	res, err := send(client, req)
	if err != nil {
		if !c.near {
			phase.Store(nil) // the line may have ended, and not the server, which went on
		}
		return pushFailure(c.explain(ctx, "/v1/database", err), body, &phase)
	}
	defer res.Body.Close()
	var report swapper.Report
	if err := decodeAnswer(res, &report); err != nil {
		return swapper.Report{Swapped: !params.DryRun, DryRun: params.DryRun},
			fmt.Errorf("the server succeeded, but its report was lost: %w", err)
	}
	return report, nil
}

// pushFailure returns what is known of a push whose answer was not success.
func pushFailure(err error, body *pushBody, phase *heardPhase) (swapper.Report, error) {
	if p, ok := errors.AsType[*Problem](err); ok {
		if p.Report != nil {
			return *p.Report, err
		}
		return swapper.Report{}, err
	}
	if _, ok := errors.AsType[*DialError](err); ok {
		return swapper.Report{}, err
	}
	ended, srcErr := body.outcome()
	switch {
	case srcErr != nil:
		return swapper.Report{}, srcErr
	case errors.Is(err, ErrConnectionLost) && phase.unchanged():
		return swapper.Report{}, err
	case ended:
		return swapper.Report{}, fmt.Errorf("%w: %w", swapper.ErrOutcomeUnknown, err)
	default:
		return swapper.Report{}, err
	}
}
