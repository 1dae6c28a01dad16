package sockserver

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"hotswap/internal/printable"
	"hotswap/swapper"
)

// The fields of a snapshot beside its digest. The size can't be a
// Content-Length: a body with one has no trailer.
const (
	headerSize    = "Hotswap-Size"   // in bytes, before the body
	trailerReport = "Hotswap-Report" // the swapper.Report as JSON, after it
)

const databaseMediaType = "application/vnd.sqlite3"

// serveSnapshot is GET /v1/snapshot: the body is a consistent copy of the
// database. One that fails on the way breaks off, without a trailer.
func (a *api) serveSnapshot(w http.ResponseWriter, r *http.Request, cmd *command) error {
	q, err := parseQuery(r, paramPath, paramID, paramDest, paramDigest, paramTag, paramCheck, paramQuick, paramSkipConstraintCheck)
	if err != nil {
		return err
	}
	db, done, err := cmd.open()
	if err != nil {
		return err
	}
	defer done()

	opts := swapper.PullOptions{
		Dest:                q.Get(paramDest),
		Tag:                 q.wantsTag(),
		Check:               q.boolean(paramCheck),
		Quick:               q.boolean(paramQuick),
		SkipConstraintCheck: q.boolean(paramSkipConstraintCheck),
	}
	digest := q.boolean(paramDigest)
	if q.err != nil {
		return q.err
	}
	if !opts.Check && (opts.Quick || opts.SkipConstraintCheck) {
		return badRequest("parameters %q and %q mean nothing without %q", paramQuick, paramSkipConstraintCheck, paramCheck)
	}
	if opts.Dest == "" {
		opts.Dest = "the answer's body"
	}
	body := newSnapshotBody(r.Context(), w, a)
	body.tagged = opts.Tag
	defer body.guard.linger()
	free, err := a.pullSlot()
	if err != nil {
		return err
	}
	defer free()
	var dst io.Writer = body
	if d := cmd.descriptor; d != nil {
		if err := d.Writable(); err != nil {
			return err
		}
		if err := a.refuseManaged(d, "destination", "choose another file, or push to it"); err != nil {
			return err
		}
		body.filled, dst = true, d.Dest(a.cfg.stallTimeout(), digest)
	}
	cmd.operated = true
	opts.Begin, opts.Logger, opts.Notify = body.begin, cmd.log, cmd.notify
	report, err := a.pull(r.Context(), db, dst, opts)
	cmd.report = &report
	if err != nil {
		return causeOf(r.Context(), err)
	}
	if report.SHA256 != "" {
		field, err := formatHexDigest(report.SHA256)
		if err != nil {
			return err
		}
		w.Header().Set(headerDigest, field)
	}
	if report.Tag != "" {
		w.Header().Set(trailerTag, quoteTag(report.Tag))
	}
	encoded, err := json.Marshal(report)
	if err != nil {
		return err
	}
	w.Header().Set(trailerReport, string(printable.JSON(encoded))) // a control character would break the field
	cmd.succeed(report, swapper.StepPullComplete)
	return nil
}

// snapshotBody is the answer that a pull writes to.
type snapshotBody struct {
	ctx   context.Context
	w     http.ResponseWriter
	guard *stallGuard
	// tagged is set if the tag comes after them.
	tagged bool
	// filled is set if the bytes go to the client's descriptor instead.
	filled bool
}

func newSnapshotBody(ctx context.Context, w http.ResponseWriter, a *api) *snapshotBody {
	return &snapshotBody{
		ctx:   ctx,
		w:     w,
		guard: newStallGuard(ctx, a.cfg.stallTimeout(), http.NewResponseController(w).SetWriteDeadline),
	}
}

// begin sends the header; until then, a failure still has a status of its own.
func (b *snapshotBody) begin(size int64) {
	fields := http.Header{"Trailer": {b.trailers(headerDigest)}}
	if b.filled {
		fields.Set(headerDescriptor, descriptorFilled)
	}
	if size > 0 {
		fields.Set(headerSize, strconv.FormatInt(size, 10))
	}
	b.start(databaseMediaType, fields)
}

// trailers names what comes after the body: these, the tag if it was asked for, and the
// report.
func (b *snapshotBody) trailers(names ...string) string {
	if b.tagged {
		names = append(names, trailerTag)
	}
	return strings.Join(append(names, trailerReport), ", ")
}

// start sends a header with these fields.
func (b *snapshotBody) start(mediaType string, fields http.Header) {
	h := b.w.Header()
	maps.Copy(h, fields)
	h.Set("Content-Type", mediaType)
	b.w.WriteHeader(http.StatusOK)
	// A client that has the header recognises a failure: before it, a connection
	// that ends looks like a stale one, and net/http repeats the request.
	b.guard.alive()
	http.NewResponseController(b.w).Flush()
}

func (b *snapshotBody) Write(p []byte) (int, error) {
	b.guard.alive()
	n, err := b.w.Write(p)
	if err != nil && b.ctx.Err() != nil {
		err = context.Cause(b.ctx)
	}
	return n, err
}
