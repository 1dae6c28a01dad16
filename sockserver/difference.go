package sockserver

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"

	"hotswap/internal/extents"
	"hotswap/internal/lognote"
	"hotswap/internal/printable"
	"hotswap/internal/statetag"
	"hotswap/internal/transfer"
	"hotswap/swapper"
)

// A client elsewhere has the server hold a snapshot, compares it with a file of its own
// by hashes (package extents), and then sends or gets only what differs. It can do so
// with other requests between, and the database goes on; nothing is locked meanwhile.

const (
	// headerHeld is the id of the snapshot that was taken, in the answer. In the request
	// it asks to have that released with the connection.
	headerHeld     = "Hotswap-Held"
	heldConnection = "connection"
	patchMediaType = "application/vnd.hotswap.patch"
	binaryType     = "application/octet-stream"
)

// serveHold is POST /v1/held: it takes a snapshot and holds it. The answer has the hashes
// of its groups.
func (a *api) serveHold(w http.ResponseWriter, r *http.Request, cmd *command) error {
	q, err := parseQuery(r, paramPath, paramID, paramExtent, paramKey, paramIfChanged, paramCheck, paramQuick, paramSkipConstraintCheck)
	if err != nil {
		return err
	}
	layout, digest := q.layout(), q.digest(paramIfChanged)
	opts := swapper.PullOptions{
		Dest:                "a held snapshot",
		Check:               q.boolean(paramCheck),
		Quick:               q.boolean(paramQuick),
		SkipConstraintCheck: q.boolean(paramSkipConstraintCheck),
		Logger:              cmd.log,
	}
	if q.err != nil {
		return q.err
	}
	db, done, err := cmd.open()
	if err != nil {
		return err
	}
	defer done()
	if digest != "" && a.program.pushed.has(db.Path(), digest) {
		w.WriteHeader(http.StatusNoContent) // the push that is to come would do nothing
		return nil
	}
	h := &heldSnapshot{id: NewID(), path: db.Path(), layout: layout, gone: context.Background()}
	if r.Header.Get(headerHeld) == heldConnection {
		h.gone = goneOf(r.Context())
	}
	if h.free, err = a.pullSlot(); err != nil {
		return err
	}
	kept := false
	defer func() {
		if !kept {
			h.release()
		}
	}()
	cmd.operated = true
	if h.report, err = a.pull(r.Context(), db, h, opts); err != nil {
		return causeOf(r.Context(), err)
	}
	if err := layout.Check(h.Size()); err != nil {
		return badRequest("parameter %q: %v", paramExtent, err)
	}
	groups := layout.Groups(h.Size())
	body := newSnapshotBody(r.Context(), w, a)
	defer body.guard.linger()
	body.start(binaryType, http.Header{
		headerHeld:       {h.id},
		headerSize:       {strconv.FormatInt(h.Size(), 10)},
		"Content-Length": {strconv.Itoa(groups * extents.HashSize)},
	})
	var last []byte // its client may make its next request once it has them
	err = layout.HashGroups(r.Context(), h, h.Size(), groups, func(hash extents.Hash) error {
		_, err := body.Write(last)
		last = append(last[:0], hash[:]...)
		return err
	})
	if err != nil {
		return causeOf(r.Context(), err)
	}
	kept = true
	a.held.put(h)
	_, err = body.Write(last)
	return err
}

// pullSlot takes a place among the pulls, of which there may be so many.
func (a *api) pullSlot() (free func(), err error) {
	most := int64(a.cfg.maxPulls())
	if now := a.program.pulls.Add(1); now > most {
		a.program.pulls.Add(-1)
		return nil, tooMany("%d pulls are in progress, or wait for their clients, and the limit is %d (Config.MaxPulls)", now-1, most)
	}
	return func() { a.program.pulls.Add(-1) }, nil
}

// takeHeld returns the snapshot that the request names.
func (a *api) takeHeld(q *query, cmd *command) (*heldSnapshot, error) {
	h, err := a.held.take(q.Get(paramHeld))
	if err == nil {
		cmd.path, cmd.found = h.path, true
	}
	return h, err
}

// serveHashes is POST /v1/held/hashes: the body is the set of groups, and the answer has
// the hashes of their extents.
func (a *api) serveHashes(w http.ResponseWriter, r *http.Request, cmd *command) error {
	q, err := parseQuery(r, paramHeld, paramID)
	if err != nil {
		return err
	}
	h, err := a.takeHeld(q, cmd)
	if err != nil {
		return err
	}
	put := sync.OnceFunc(func() { a.held.put(h) })
	defer put()
	groups, err := a.readSet(w, r, h.layout.Groups(h.Size()))
	if err != nil {
		return err
	}
	length := 0
	for g := range groups.All() {
		length += h.layout.InGroup(g, h.Size()) * extents.HashSize
	}
	body := newSnapshotBody(r.Context(), w, a)
	defer body.guard.linger()
	body.start(binaryType, http.Header{"Content-Length": {strconv.Itoa(length)}})
	var last []byte // as in serveHold
	err = h.layout.HashExtents(r.Context(), h, h.Size(), groups, func(_ int, hashes []byte) error {
		_, err := body.Write(last)
		last = append(last[:0], hashes...)
		return err
	})
	if err != nil {
		return causeOf(r.Context(), err)
	}
	put()
	_, err = body.Write(last)
	return err
}

// servePatch is POST /v1/held/patch: a pull. The body is the set of extents that the client
// lacks, and the answer is a patch with them. The snapshot is released.
func (a *api) servePatch(w http.ResponseWriter, r *http.Request, cmd *command) error {
	q, err := parseQuery(r, paramHeld, paramID, paramDest, paramTag)
	if err != nil {
		return err
	}
	tagged := q.wantsTag()
	if q.err != nil {
		return q.err
	}
	release, err := cmd.begin()
	if err != nil {
		return err
	}
	defer release()
	h, err := a.takeHeld(q, cmd)
	if err != nil {
		return err
	}
	defer h.release()
	a.program.running.on(cmd.id, h.path)
	differing, err := a.readSet(w, r, h.layout.Extents(h.Size()))
	if err != nil {
		return err
	}
	report := h.report
	cmd.report = &report
	report.Target = cmp.Or(q.Get(paramDest), "the answer's body")
	total := min(int64(differing.Len())*h.layout.Extent, h.Size())
	cmd.notify(newEvent(swapper.StepPullStarted, fmt.Sprintf("pull started: %s to %s", printable.Line(h.path), printable.Line(report.Target))))
	taken := fmt.Sprintf("snapshot taken: %d bytes", h.Size())
	if total < h.Size() {
		taken += fmt.Sprintf(", of which %d differ and are sent", total)
	}
	cmd.notify(newEvent(swapper.StepSnapshotDone, taken))
	ctx, cancel := context.WithCancel(r.Context())
	var tagErr error
	var tagging sync.WaitGroup
	if tagged {
		tagging.Go(func() { report.Tag, tagErr = statetag.Of(ctx, h, h.Size()) })
	}
	defer tagging.Wait()
	defer cancel()
	sum := extents.StartSum(ctx, h, h.Size())
	defer sum.Stop()
	body := newSnapshotBody(r.Context(), w, a)
	body.tagged = tagged
	defer body.guard.linger()
	body.start(patchMediaType, http.Header{"Trailer": {body.trailers()}})
	header := extents.Header{Extent: h.layout.Extent, Size: h.Size()}
	err = extents.Write(r.Context(), body, header, h, differing, sum.Wait, func(sent int64) {
		event := newEvent(swapper.StepSending, fmt.Sprintf("sent %d of %d bytes", sent, total))
		event.Done, event.Total = sent, total
		cmd.notify(event)
	})
	tagging.Wait()
	digest, sumErr := sum.Wait()
	if err = cmp.Or(err, tagErr, sumErr); err != nil {
		return causeOf(r.Context(), err)
	}
	report.SHA256 = hex.EncodeToString(digest[:])
	if tagged {
		w.Header().Set(trailerTag, quoteTag(report.Tag))
	}
	encoded, err := json.Marshal(report)
	if err != nil {
		return err
	}
	w.Header().Set(trailerReport, string(printable.JSON(encoded)))
	lognote.Send(cmd.log.Info().Str(fieldPath, h.path).Int64("bytes", h.Size()).Int64("sent", total), "pull complete")
	cmd.notify(newEvent(swapper.StepPullComplete, fmt.Sprintf("pull complete: %d bytes", h.Size())))
	cmd.succeed(report, swapper.StepPullComplete)
	return nil
}

// serveRelease is POST /v1/held/release. One that is gone is released.
func (a *api) serveRelease(w http.ResponseWriter, r *http.Request, cmd *command) error {
	q, err := parseQuery(r, paramHeld, paramID)
	if err != nil {
		return err
	}
	if h, err := a.takeHeld(q, cmd); err == nil {
		h.release()
	}
	return answerJSON(w, struct{}{})
}

// readSet reads a request's body, a set of numbers below n.
func (a *api) readSet(w http.ResponseWriter, r *http.Request, n int) (extents.Set, error) {
	body := newRequestBody(r.Context(), r, http.NewResponseController(w), a.cfg.stallTimeout())
	defer body.close()
	bitmap, err := io.ReadAll(io.LimitReader(body, int64(extents.BitmapSize(n))+1))
	if err != nil {
		return extents.Set{}, causeOf(r.Context(), err)
	}
	set, err := extents.ParseSet(n, bitmap)
	if err != nil {
		return set, badRequest("the body is not a set: %v", err)
	}
	return set, nil
}

// layout reads how the snapshot is to be hashed.
func (q *query) layout() extents.Layout {
	l := extents.Layout{Extent: q.size(paramExtent)}
	key, err := hex.DecodeString(q.Get(paramKey))
	if err != nil || len(key) != len(l.Key) {
		q.fail(paramKey, fmt.Sprintf("%d bytes in hexadecimal", len(l.Key)))
	}
	copy(l.Key[:], key)
	if err := l.Check(0); err != nil {
		q.fail(paramExtent, fmt.Sprintf("a power of two from %d to %d", extents.SmallestExtent, extents.LargestExtent))
	}
	return l
}

// patchSource is a body that says what differs from a held snapshot.
type patchSource struct {
	*requestBody
	base   transfer.Held
	reader *extents.Reader // nil until Begin
}

var _ transfer.PatchSource = (*patchSource)(nil)

func (p *patchSource) Base() transfer.Held { return p.base }

func (p *patchSource) Begin() (size int64, err error) {
	if p.reader, err = extents.NewReader(p.requestBody); err != nil {
		return 0, err
	}
	return p.reader.Size, nil
}

func (p *patchSource) SHA256() [32]byte { return p.reader.SHA256() }

func (p *patchSource) Next() (int64, []byte, error) { return p.reader.Next() }

func (p *patchSource) close() {
	if p.reader != nil {
		p.reader.Close()
	}
}
