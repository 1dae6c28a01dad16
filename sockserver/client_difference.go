package sockserver

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"hotswap/internal/extents"
	"hotswap/internal/fdpass"
	"hotswap/internal/sqlitefile"
	"hotswap/swapper"
)

// What follows is the client's side of difference.go: to a server elsewhere, to which no
// descriptor can be passed, only what differs is sent, and only that is got from there.
// Whatever goes wrong on the way, an older server or noise among it, leads to the whole
// database instead: nothing has changed then.

const (
	// leastCompared is the size in bytes below which a database is sent as it is.
	leastCompared = 32 << 10
	// releaseTimeout bounds the wait for a server that is told to release a snapshot,
	// which it does by itself later.
	releaseTimeout = 2 * time.Second
)

// errWhole says that the database is to be transferred whole.
var errWhole = errors.New("what differs is of no use")

// holding is a snapshot that the server holds for this client, for as long as there is a
// connection that all about it goes through: a client that is killed leaves nothing.
type holding struct {
	http   *http.Client
	id     string
	size   int64
	layout extents.Layout
}

// hold has the server hold a snapshot. hashes has those of its groups.
func (c *Client) hold(ctx context.Context, query url.Values, layout extents.Layout) (h *holding, hashes io.ReadCloser, err error) {
	query.Set(paramExtent, strconv.FormatInt(layout.Extent, 10))
	query.Set(paramKey, hex.EncodeToString(layout.Key[:]))
	h = &holding{http: httpClient(c.socket, c.dial), layout: layout}
	res, err := h.post(ctx, "/v1/held", query, nil)
	if err != nil {
		h.close()
		return nil, nil, err
	}
	h.id = res.Header.Get(headerHeld)
	h.size, err = strconv.ParseInt(res.Header.Get(headerSize), 10, 64)
	if err == nil {
		err = layout.Check(h.size)
	}
	if err != nil || h.id == "" {
		res.Body.Close()
		h.close()
		return nil, nil, fmt.Errorf("the answer is not of a held snapshot: %s %q, %s %q",
			headerHeld, h.id, headerSize, res.Header.Get(headerSize))
	}
	return h, res.Body, nil
}

// close ends the connection.
func (h *holding) close() { h.http.CloseIdleConnections() }

// release has the server release the snapshot.
func (h *holding) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	if res, err := h.post(ctx, "/v1/held/release", url.Values{paramHeld: {h.id}}, nil); err == nil {
		res.Body.Close()
	}
}

// compare finds what of the newer one differs, of the snapshot and of mine.
func (h *holding) compare(ctx context.Context, hashes io.Reader, mine io.ReaderAt, size int64, theirsIsNewer bool) (differing extents.Set, err error) {
	diff := extents.NewDiff(h.layout, mine, size, h.size, theirsIsNewer)
	if err := diff.Compare(ctx, hashes); err != nil {
		return differing, err
	}
	if err := ended(hashes); err != nil {
		return differing, err
	}
	for {
		groups, more, err := diff.Ask()
		if err != nil || !more {
			return diff.Differing(), err
		}
		res, err := h.post(ctx, "/v1/held/hashes", url.Values{paramHeld: {h.id}}, groups.Bitmap())
		if err != nil {
			return differing, err
		}
		err = cmp.Or(diff.Answer(ctx, res.Body), ended(res.Body))
		res.Body.Close()
		if err != nil {
			return differing, err
		}
	}
}

// ended demands that an answer has ended: its connection is used again only then.
func ended(answer io.Reader) error {
	if n, err := io.CopyN(io.Discard, answer, 1); n > 0 {
		return errors.New("more came than the hashes")
	} else if err != io.EOF {
		return err
	}
	return nil
}

func (h *holding) post(ctx context.Context, path string, query url.Values, body []byte) (*http.Response, error) {
	req, err := newRequest(ctx, http.MethodPost, path, query, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set(headerHeld, heldConnection)
	return send(h.http, req)
}

// layoutOf returns the layout for a database file, and its size.
func layoutOf(file *os.File) (extents.Layout, int64, error) {
	info, err := file.Stat()
	if err != nil {
		return extents.Layout{}, 0, err
	}
	head, err := sqlitefile.ReadHeader(file)
	if err != nil {
		return extents.Layout{}, 0, err
	}
	layout := extents.NewLayout(head.PageSize)
	if !head.ValidPageSize() {
		return layout, 0, errWhole
	}
	return layout, info.Size(), layout.Check(info.Size())
}

// pushDifference is push of what differs from the live database. Of an error that is
// errWhole, nothing has happened.
func (c *Client) pushDifference(ctx context.Context, path string, src io.Reader, params PushParams) (report swapper.Report, err error) {
	file := fdpass.Whole(src)
	if file == nil {
		return report, errWhole
	}
	layout, size, err := layoutOf(file)
	if err != nil || size < leastCompared {
		return report, errWhole
	}
	query := url.Values{paramPath: {path}}
	if params.IfChanged != "" {
		query.Set(paramIfChanged, params.IfChanged) // none is needed if it has not
	}
	h, hashes, err := c.hold(ctx, query, layout)
	if err != nil {
		return report, wholeUnless(ctx)
	}
	defer h.close()
	defer func() {
		if err != nil || report.Unchanged {
			h.release(ctx)
		}
	}()
	sum := extents.StartSum(ctx, file, size)
	defer sum.Stop()
	differing, err := h.compare(ctx, hashes, file, size, false)
	hashes.Close()
	if err != nil {
		return report, wholeUnless(ctx)
	}
	read, write := io.Pipe()
	written := make(chan struct{})
	go func() {
		defer close(written)
		header := extents.Header{Extent: layout.Extent, Size: size}
		write.CloseWithError(extents.Write(ctx, write, header, file, differing, sum.Wait, func(int64) {}))
	}()
	defer func() { read.Close(); <-written }()
	params.held, params.Size, params.Digest = h.id, 0, false // the patch has a digest of its own
	report, err = c.push(ctx, path, read, nil, params)
	if p, ok := errors.AsType[*Problem](err); ok {
		switch p.Type {
		case ProblemNotHeld, ProblemPatch, ProblemDigest:
			return report, wholeUnless(ctx)
		}
	}
	return report, err
}

// wholeUnless is errWhole, unless the context has ended.
func wholeUnless(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errWhole
}

// pullDifference is Snapshot of what differs from an older copy, or of everything,
// compressed, if there is none. Of an error that is errWhole, dst is as it was.
func (c *Client) pullDifference(ctx context.Context, path string, dst io.Writer, params SnapshotParams) (report swapper.Report, err error) {
	layout, size, mine := extents.NewLayout(0), int64(0), io.ReaderAt(bytes.NewReader(nil))
	if base := params.Base; base != nil {
		if l, n, err := layoutOf(base); err == nil {
			layout, size, mine = l, n, base
		}
	}
	query := url.Values{paramPath: {path}}
	params.setCheck(query)
	h, hashes, err := c.hold(ctx, query, layout)
	if err != nil {
		return report, wholeUnless(ctx)
	}
	defer h.close()
	defer func() {
		if err != nil {
			h.release(ctx)
		}
	}()
	differing, err := h.compare(ctx, hashes, mine, size, true)
	hashes.Close()
	if err != nil {
		return report, wholeUnless(ctx)
	}
	query = url.Values{paramHeld: {h.id}}
	params.setNames(query)
	params.setTag(query)
	res, err := h.post(ctx, "/v1/held/patch", query, differing.Bitmap())
	if err != nil {
		return report, wholeUnless(ctx)
	}
	defer res.Body.Close()
	patch, err := extents.NewReader(answerBody{ctx, res.Body})
	if err != nil || patch.Size != h.size {
		return report, wholeUnless(ctx)
	}
	defer patch.Close()
	if params.Begin != nil {
		params.Begin(h.size)
	}
	switch err := patch.Apply(ctx, dst, mine, size); {
	case errors.Is(err, extents.ErrPatch) && rewind(dst):
		return report, wholeUnless(ctx)
	case errors.Is(err, extents.ErrPatch):
		return report, fmt.Errorf("%w: %w", ErrIncomplete, err)
	case err != nil:
		return report, err
	}
	return patchReport(res, path, params.Dest, patch)
}

// answerBody tells why an answer breaks off.
type answerBody struct {
	ctx context.Context
	io.Reader
}

func (b answerBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	switch {
	case err == nil || err == io.EOF:
		return n, err
	case b.ctx.Err() != nil:
		return n, context.Cause(b.ctx)
	}
	return n, fmt.Errorf("%w: the server broke off; its log says why: %w", ErrIncomplete, err)
}

// rewind makes a file that was empty empty again.
func rewind(dst io.Writer) bool {
	file, ok := dst.(*os.File)
	if !ok || file.Truncate(0) != nil {
		return false
	}
	_, err := file.Seek(0, io.SeekStart)
	return err == nil
}

// patchReport returns the report behind a patch, or what is known without it.
func patchReport(res *http.Response, path, dest string, patch *extents.Reader) (swapper.Report, error) {
	report := swapper.Report{Source: path, Target: dest}
	if encoded := res.Trailer.Get(trailerReport); encoded != "" {
		if err := json.Unmarshal([]byte(encoded), &report); err != nil {
			return report, fmt.Errorf("%w: read the report: %w", ErrIncomplete, err)
		}
	}
	sum := patch.SHA256()
	report.Bytes, report.SHA256 = patch.Size, hex.EncodeToString(sum[:])
	return report, nil
}
